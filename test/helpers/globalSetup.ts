import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { type KafkaCluster, startKafka } from './broker.ts';
import { mustRun, say } from './cache.ts';
import { formatFaultTables } from './faultTable.ts';
import { pythonWithLibrdkafka } from './servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port,...` of the broker that integration and fault tests use. */
    bootstrapServers: string;
    /** Folder of the broker's logs; empty when the broker is not ours. */
    brokerDataFolder: string;
    /** A Python that has confluent-kafka. */
    python: string;
    /** File that `countFaults` appends to. */
    faultCountsPath: string;
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Servers {
  readonly cluster: KafkaCluster | null;
  readonly bootstrapServers: string;
  readonly python: string;
}

/** Shared by the projects of one run: each calls the set-up, and the broker is started once and stopped with the last. */
let shared: Promise<Servers & { readonly faultCountsPath: string }> | null = null;
let users = 0;

/** Builds the command, and finds or starts what integration and fault tests talk to. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  users += 1;
  shared ??= prepare();
  const { cluster, bootstrapServers, python, faultCountsPath } = await shared;
  project.provide('bootstrapServers', bootstrapServers);
  project.provide('brokerDataFolder', cluster?.dataFolder(1) ?? '');
  project.provide('python', python);
  project.provide('faultCountsPath', faultCountsPath);
  return async () => {
    users -= 1;
    if (users > 0) return;
    process.stdout.write(`\n${formatFaultTables(faultCountsPath)}`);
    await rm(dirname(faultCountsPath), { recursive: true, force: true });
    await cluster?.stop();
    shared = null;
  };
}

async function build(): Promise<void> {
  const compiler = `${ROOT}node_modules/typescript/bin/tsc`;
  try {
    await mustRun(process.execPath, [compiler, '-p', 'tsconfig.json'], { cwd: ROOT });
    await mustRun(process.execPath, [`${ROOT}scripts/bundleCommand.mjs`]);
  } catch (error) {
    throw new Error(`cannot build the command; KAFKALOAD_TEST_NO_BUILD=1 tests dist as it is\n${String(error)}`);
  }
}

async function prepare(): Promise<Servers & { readonly faultCountsPath: string }> {
  const faultCountsPath = join(await mkdtemp(join(tmpdir(), 'kafkaload-faults-')), 'counts.jsonl');
  await writeFile(faultCountsPath, '');
  return { ...(await findServers()), faultCountsPath };
}

async function findServers(): Promise<Servers> {
  if (!process.env.KAFKALOAD_TEST_NO_BUILD) await build();
  const python = await pythonWithLibrdkafka();
  const running = process.env.KAFKA_BOOTSTRAP_SERVERS;
  if (running) {
    say(`using the Kafka broker at ${running} (KAFKA_BOOTSTRAP_SERVERS)`);
    return { cluster: null, bootstrapServers: running, python };
  }
  const started = Date.now();
  const cluster = await startKafka();
  say(`Kafka is up at ${cluster.bootstrapServers} after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return { cluster, bootstrapServers: cluster.bootstrapServers, python };
}
