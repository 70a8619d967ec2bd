/** Brokers of tests as processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from './cache.ts';

export interface Listener {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly advertisedPort: number;
}

export interface BrokerSettings {
  /** Over the defaults below, for every broker: names as in `server.properties`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Over these, for one broker: `broker.rack`. */
  readonly propertiesOf?: (id: number) => Readonly<Record<string, string>>;
  /** More arguments of `kafka-storage format`, such as `--add-scram`. */
  readonly formatArguments?: readonly string[];
}

export interface Broker {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: readonly Listener[];
  readonly folder: string;
  process: ChildProcess | null;
  watchdog: ChildProcess | null;
}

/** Without the optimizing compiler, which is busy for as long as most brokers of tests live. */
export const QUICK = ['-XX:TieredStopAtLevel=1'];

export async function formatBroker(
  java: readonly string[],
  broker: Broker,
  all: readonly Broker[],
  clusterId: string,
  options: BrokerSettings,
): Promise<void> {
  await mkdir(join(broker.folder, 'data'), { recursive: true });
  const replicas = String(all.length);
  const { port } = broker;
  const listeners = [{ name: 'PLAINTEXT', protocol: 'PLAINTEXT', port, advertisedPort: port }, ...broker.listeners];
  const addresses = listeners.map(({ name, port }) => `${name}://127.0.0.1:${port}`);
  const advertised = listeners.map(({ name, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort}`);
  const protocols = listeners.map(({ name, protocol }) => `${name}:${protocol}`);
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(broker.id),
    'controller.quorum.voters': all.map((one) => `${one.id}@127.0.0.1:${one.controllerPort}`).join(','),
    listeners: [...addresses, `CONTROLLER://127.0.0.1:${broker.controllerPort}`].join(','),
    'advertised.listeners': advertised.join(','),
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': [...protocols, 'CONTROLLER:PLAINTEXT'].join(','),
    'log.dirs': join(broker.folder, 'data'),
    'message.max.bytes': '10485760',
    'replica.fetch.max.bytes': '10485760',
    'default.replication.factor': replicas,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A member that is gone is missed after its session: the default least of 6 s is a long wait in a test.
    'group.min.session.timeout.ms': '500',
    // A killed broker may come back only when its session is over: the default of 9 s is a long wait in a test.
    'broker.session.timeout.ms': '5000',
    'broker.heartbeat.interval.ms': '500',
    // Messages of tests are from the past, and a topic that a test did not make itself would lose them by their age.
    'log.retention.ms': '-1',
    // Compaction is waited for by tests: let the cleaner look often. Its default buffer is 128 MiB of heap.
    'log.cleaner.backoff.ms': '200',
    'log.cleaner.dedupe.buffer.size': '16777216',
    'log.segment.delete.delay.ms': '1000',
    ...options.properties,
    ...options.propertiesOf?.(broker.id),
  };
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
  const path = join(broker.folder, 'server.properties');
  await writeFile(path, lines.join(''));
  const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', path, ...(options.formatArguments ?? [])];
  // An archive is of one process.
  const shared = java.filter((argument) => !argument.includes('AtExit'));
  await mustRun('java', [...QUICK, '-XX:+UseSerialGC', ...shared, ...format]);
}

export function spawnBroker(java: readonly string[], root: string, broker: Broker): void {
  const log = createWriteStream(logPath(broker), { flags: 'a' });
  const memory = ['-Xms256m', '-Xmx768m', '-XX:+UseSerialGC'];
  const logging = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];
  // A group of its own: Ctrl-C goes to the tests, which stop the broker when they no longer need it.
  const child = spawn(
    'java',
    [...memory, ...logging, ...java, 'kafka.Kafka', join(broker.folder, 'server.properties')],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.on('error', (error) => log.write(`cannot start java: ${error.message}\n`));
  broker.process = child;
  if (child.pid === undefined) return;
  const script = 'trap "" INT TERM HUP; cat >/dev/null; kill -9 "$1" 2>/dev/null; sleep 0.3; rm -rf "$2"';
  broker.watchdog = spawn('sh', ['-c', script, 'kafkaload-broker-watchdog', String(child.pid), root], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // Neither may keep this process from ending: their end is then the watchdog's job.
  child.unref();
  broker.watchdog.unref();
  (broker.watchdog.stdin as unknown as { unref(): void }).unref();
}

export async function killBroker(broker: Broker, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const { process: child, watchdog } = broker;
  broker.process = null;
  broker.watchdog = null;
  watchdog?.kill('SIGKILL');
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.ref();
  child.kill(signal);
  await gone;
}

export function logPath(broker: Broker): string {
  return join(broker.folder, 'broker.log');
}
