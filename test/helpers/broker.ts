import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import {
  type Broker,
  type BrokerSettings,
  formatBroker,
  killBroker,
  type Listener,
  logPath,
  QUICK,
  spawnBroker,
} from './brokerProcess.ts';
import { cachedFolder, runProgram } from './cache.ts';
import { KAFKA_VERSION, kafkaClassPath } from './servers.ts';
import { delay } from './wait.ts';

export interface StartKafkaOptions extends BrokerSettings {
  readonly brokers?: 1 | 3;
  /** Listeners beside the plain one that tests administer by: names of capitals, with their security protocol. */
  readonly listeners?: Readonly<Record<string, 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL' | 'PLAINTEXT'>>;
  /** Names of those listeners that clients are sent to another port of: one where a proxy (proxy.ts) is to listen. */
  readonly advertisedElsewhere?: readonly string[];
  /** `tuned`: as a broker runs in production, for benches. Default `quick`: its start costs a third of the CPU time. */
  readonly jvm?: 'tuned' | 'quick';
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
  /** SIGTERM: returns when the process has ended in order. */
  end(id: number): Promise<void>;
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

const ARCHIVE = 'classes.jsa';

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
  const java = options.jvm === 'tuned' ? [] : [...QUICK, `-XX:SharedArchiveFile=${await classArchive()}`];
  return startWith([...java, '-cp', await kafkaClassPath()], options);
}

async function startWith(java: readonly string[], options: StartKafkaOptions): Promise<KafkaCluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(java, options);
    } catch (error) {
      // A port that was free when it was picked can be taken by the time the broker binds it.
      const portTaken = /already in use|BindException/.test(String(error));
      if (!portTaken || attempt === START_ATTEMPTS) throw error;
    }
  }
}

/**
 * The classes of a broker as the JVM wants them in memory, dumped by one that ends in order; made once for each JVM.
 *
 * @see https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html
 */
async function classArchive(): Promise<string> {
  const { stderr: version } = await runProgram('java', ['-version']);
  const jvm = createHash('sha256').update(version).digest('hex').slice(0, 16);
  const folder = await cachedFolder(`kafka-${KAFKA_VERSION}-classes-${jvm}`, async (temporary) => {
    const dump = `-XX:ArchiveClassesAtExit=${join(temporary, ARCHIVE)}`;
    const cluster = await startWith([dump, '-cp', await kafkaClassPath()], {});
    await cluster.end(1);
    await cluster.stop();
  });
  return join(folder, ARCHIVE);
}

async function startOnce(java: readonly string[], options: StartKafkaOptions): Promise<KafkaCluster> {
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
    await Promise.all(brokers.map((broker) => killBroker(broker)));
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  };

  try {
    // 22 characters of URL-safe base64, as Kafka writes a UUID. A leading dash would be read as an option.
    const clusterId = `k${randomBytes(16).toString('base64url').slice(1, 22)}`;
    await Promise.all(brokers.map((broker) => formatBroker(java, broker, brokers, clusterId, options)));
    for (const broker of brokers) spawnBroker(java, root, broker);
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
    end: (id) => killBroker(find(id), 'SIGTERM'),
    restart: async (id) => {
      const broker = find(id);
      await killBroker(broker);
      spawnBroker(java, root, broker);
      const alive = brokers.filter((candidate) => candidate.process !== null);
      await waitUntilUp([broker], bootstrapServers, alive.length);
    },
    stop,
  };
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
