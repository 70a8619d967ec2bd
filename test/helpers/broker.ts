import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { mustRun } from './cache.ts';
import { kafkaClassPath } from './servers.ts';
import { delay } from './wait.ts';

export interface StartKafkaOptions {
  readonly brokers?: 1 | 3;
  /** Over the defaults below, for every broker: names as in `server.properties`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Over these, for one broker: `broker.rack`. */
  readonly propertiesOf?: (id: number) => Readonly<Record<string, string>>;
  /** Listeners beside the plain one that tests administer by: names of capitals, with their security protocol. */
  readonly listeners?: Readonly<Record<string, 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL' | 'PLAINTEXT'>>;
  /** Names of those listeners that clients are sent to another port of: one where a proxy (proxy.ts) is to listen. */
  readonly advertisedElsewhere?: readonly string[];
  /** More arguments of `kafka-storage format`, such as `--add-scram`. */
  readonly formatArguments?: readonly string[];
}

export interface KafkaCluster {
  readonly bootstrapServers: string;
  /** Node ids, from 1. */
  readonly ids: readonly number[];
  /** `host:port,...` of one of the listeners that were asked for. */
  listener(name: string): string;
  /** Of a listener that is advertised elsewhere: by broker, where it listens and where clients are sent to. */
  portsOf(name: string): readonly ListenerPorts[];
  /** Folder of the logs of one broker: one folder for each partition in it. */
  dataFolder(id: number): string;
  /** What one broker wrote to its output. */
  logOf(id: number): Promise<string>;
  /** SIGKILL, as a crash: returns when the process is gone. */
  kill(id: number): Promise<void>;
  /** Starts a killed broker on its old ports and data; returns when it answers. */
  restart(id: number): Promise<void>;
  /** Ends all brokers at once and removes their data. Safe to call twice. */
  stop(): Promise<void>;
}

export interface ListenerPorts {
  readonly id: number;
  readonly port: number;
  readonly advertisedPort: number;
}

interface Listener {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly advertisedPort: number;
}

interface Broker {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: readonly Listener[];
  readonly folder: string;
  process: ChildProcess | null;
  watchdog: ChildProcess | null;
}

const START_ATTEMPTS = 4;
const START_TIMEOUT_MS = 90_000;

/**
 * Starts Apache Kafka (KRaft, broker and controller in one process each) on free loopback ports, with its data in a
 * temporary folder.
 *
 * The brokers never outlive this process: beside each runs a shell that waits for the end of a pipe from here, and
 * then kills the broker and removes the data. The pipe ends however this process dies, SIGKILL included.
 */
export async function startKafka(options: StartKafkaOptions = {}): Promise<KafkaCluster> {
  const classPath = await kafkaClassPath();
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(classPath, options);
    } catch (error) {
      // A port that was free when it was picked can be taken by the time the broker binds it.
      const portTaken = /already in use|BindException/.test(String(error));
      if (!portTaken || attempt === START_ATTEMPTS) throw error;
    }
  }
}

async function startOnce(classPath: string, options: StartKafkaOptions): Promise<KafkaCluster> {
  const count = options.brokers ?? 1;
  const root = await mkdtemp(join(tmpdir(), 'kafkaload-kafka-'));
  const asked = Object.entries(options.listeners ?? {});
  const elsewhere = options.advertisedElsewhere ?? [];
  const portsEach = 2 + 2 * asked.length;
  const ports = await freePorts(count * portsEach);
  const brokers = Array.from({ length: count }, (_, index): Broker => {
    const [port = 0, controllerPort = 0, ...more] = ports.slice(index * portsEach, (index + 1) * portsEach);
    const listeners = asked.map(([name, protocol], place): Listener => {
      const [port = 0, other = 0] = more.slice(2 * place, 2 * place + 2);
      return { name, protocol, port, advertisedPort: elsewhere.includes(name) ? other : port };
    });
    const id = index + 1;
    return { id, port, controllerPort, listeners, folder: join(root, String(id)), process: null, watchdog: null };
  });
  const bootstrapServers = brokers.map((broker) => `127.0.0.1:${broker.port}`).join(',');
  const find = (id: number): Broker => {
    const broker = brokers.find((candidate) => candidate.id === id);
    if (!broker) throw new Error(`there is no broker ${id}; ids are 1 to ${count}`);
    return broker;
  };
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await Promise.all(brokers.map(killBroker));
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  };

  try {
    // 22 characters of URL-safe base64, as Kafka writes a UUID. A leading dash would be read as an option.
    const clusterId = `k${randomBytes(16).toString('base64url').slice(1, 22)}`;
    await Promise.all(brokers.map((broker) => formatBroker(classPath, broker, brokers, clusterId, options)));
    for (const broker of brokers) spawnBroker(classPath, root, broker);
    await waitUntilUp(brokers, bootstrapServers, count);
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    bootstrapServers,
    ids: brokers.map((broker) => broker.id),
    listener: (name) =>
      brokers
        .flatMap(({ listeners }) => listeners.filter((one) => one.name === name))
        .map(({ port }) => `127.0.0.1:${port}`)
        .join(','),
    portsOf: (name) =>
      brokers.flatMap(({ id, listeners }) => {
        const found = listeners.find((one) => one.name === name);
        return found ? [{ id, port: found.port, advertisedPort: found.advertisedPort }] : [];
      }),
    dataFolder: (id) => join(find(id).folder, 'data'),
    logOf: (id) => readFile(logPath(find(id)), 'utf8'),
    kill: (id) => killBroker(find(id)),
    restart: async (id) => {
      const broker = find(id);
      await killBroker(broker);
      spawnBroker(classPath, root, broker);
      const alive = brokers.filter((candidate) => candidate.process !== null);
      await waitUntilUp([broker], bootstrapServers, alive.length);
    },
    stop,
  };
}

async function formatBroker(
  classPath: string,
  broker: Broker,
  all: readonly Broker[],
  clusterId: string,
  options: StartKafkaOptions,
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
  await mustRun('java', ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', classPath, ...format]);
}

function spawnBroker(classPath: string, root: string, broker: Broker): void {
  const log = createWriteStream(logPath(broker), { flags: 'a' });
  const memory = ['-Xms256m', '-Xmx768m', '-XX:+UseSerialGC'];
  const logging = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];
  // A group of its own: Ctrl-C goes to the tests, which stop the broker when they no longer need it.
  const child = spawn(
    'java',
    [...memory, ...logging, '-cp', classPath, 'kafka.Kafka', join(broker.folder, 'server.properties')],
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

async function killBroker(broker: Broker): Promise<void> {
  const { process: child, watchdog } = broker;
  broker.process = null;
  broker.watchdog = null;
  watchdog?.kill('SIGKILL');
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.ref();
  child.kill('SIGKILL');
  await gone;
}

async function waitUntilUp(starting: readonly Broker[], bootstrapServers: string, count: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  const failed = async (broker: Broker, why: string): Promise<Error> => {
    const tail = (await readFile(logPath(broker), 'utf8')).trim().split('\n').slice(-25).join('\n');
    return new Error(`Kafka broker ${broker.id} on 127.0.0.1:${broker.port} ${why}:\n${tail}`);
  };
  for (const broker of starting) {
    while (!(await answers(broker.port))) {
      const child = broker.process;
      if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
        throw await failed(broker, 'ended while it started');
      }
      if (Date.now() > deadline) throw await failed(broker, `does not answer after ${START_TIMEOUT_MS / 1000} s`);
      await delay(100);
    }
  }
  // A port that answers is not yet a cluster that can lead partitions: wait until every broker is registered.
  const admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(','), retries: 0 });
  try {
    for (;;) {
      const metadata = await admin.metadata({ topics: [], forceUpdate: true }).catch(() => null);
      if (metadata && metadata.brokers.size >= count) return;
      if (Date.now() > deadline) {
        throw await failed(starting[0] as Broker, `sees ${metadata?.brokers.size ?? 0} of ${count} brokers`);
      }
      await delay(100);
    }
  } finally {
    await admin.close();
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Picks ports that are free now, all different: they are held together, then let go. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function logPath(broker: Broker): string {
  return join(broker.folder, 'broker.log');
}
