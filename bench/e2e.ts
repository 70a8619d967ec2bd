/**
 * The whole command, topic to Parquet, beside kcat reading the same topic to nowhere: contenders alternate in one run,
 * medians are reported, and the rows of the output are counted by DuckDB.
 *
 *     npm run bench -- e2e [MESSAGES]        KAFKA_BOOTSTRAP_SERVERS: a running broker instead of an own one
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { startKafka } from '../test/helpers/broker.ts';
import { TestTopics } from '../test/helpers/topics.ts';
import { type Measurement, measure } from './measure.ts';
import { type BenchTopic, fillTopic } from './topic.ts';

const MESSAGES = 4_000_000;
const PARTITIONS = 8;
const ROUNDS = 3;
const COMMAND = join(import.meta.dirname, '..', 'src', 'cli.js');
const RESULTS = join(import.meta.dirname, '..', '..', 'bench', 'results');

export interface Contender {
  readonly name: string;
  run(round: number): Promise<Measurement>;
}

interface FilledTopic extends BenchTopic {
  /** Where offsets are saved. */
  readonly offsets: string;
}

interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
  readonly rowsPerSecond: number;
  readonly mebibytesPerSecond: number;
}

export async function run(messages = MESSAGES): Promise<void> {
  await compareOnTopic({ bench: 'e2e', baseline: 'kcat' }, messages, contenders);
}

/**
 * Fills a topic, has the contenders read it, prints what they took and keeps it as `BENCH-MESSAGES.json`.
 *
 * @param names `baseline`: how the name of the contender begins that the others are measured by.
 */
export async function compareOnTopic(
  names: { readonly bench: string; readonly baseline: string },
  messages: number,
  contendersOf: (folder: string, bootstrapServers: string, topic: FilledTopic) => Contender[],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-bench-'));
  const given = process.env.KAFKA_BOOTSTRAP_SERVERS;
  const broker = given ? null : await startKafka();
  const bootstrapServers = given ?? broker?.bootstrapServers ?? '';
  const topics = new TestTopics(bootstrapServers);
  try {
    const name = topics.reserve('bench');
    console.log(`filling topic ${name}: ${messages.toLocaleString('en-US')} messages, ${PARTITIONS} partitions, lz4`);
    const topic = {
      ...(await fillTopic(bootstrapServers, name, PARTITIONS, messages)),
      offsets: topics.reserve('bench-offsets'),
    };
    const results = await compare(contendersOf(folder, bootstrapServers, topic), topic);
    print(names, results, topic);
  } finally {
    await topics.cleanUp();
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function contenders(folder: string, bootstrapServers: string, topic: FilledTopic): Contender[] {
  const list: Contender[] = [
    { name: 'kafkaload, folder', run: (round) => offload(folder, bootstrapServers, topic, `folder${round}`, []) },
    {
      name: 'kafkaload, one file',
      run: (round) => offload(folder, bootstrapServers, topic, `one${round}.parquet`, ['--write-coalesce', '1']),
    },
  ];
  if (spawnSync('kcat', ['-V']).status === 0) {
    const args = ['-b', bootstrapServers, '-C', '-t', topic.topic, '-o', 'beginning', '-e', '-q', '-f', ''];
    list.push({ name: 'kcat, to nowhere', run: () => measure('kcat', args, folder) });
  } else {
    console.log('kcat is not installed: nothing to compare with (Debian: apt-get install kcat)');
  }
  return list;
}

/** Every run has a config of its own, so that each reads the whole topic. */
export async function offload(
  folder: string,
  bootstrapServers: string,
  topic: FilledTopic,
  target: string,
  more: readonly string[],
): Promise<Measurement> {
  const config = target.replace(/\W/g, '-');
  const conf = join(folder, `${config}.yaml`);
  const fields = ['key as STRING', 'value as STRING', 'partition as INT', 'offset as LONG', 'timestamp as TIMESTAMP'];
  const entry = { topicName: topic.topic, fields };
  const kafka = {
    serverOptions: { 'bootstrap.servers': bootstrapServers },
    topics: { [config]: entry, comet_offsets: { topicName: topic.offsets } },
  };
  writeFileSync(conf, JSON.stringify({ kafka }));
  const path = join(folder, target);
  const args = [COMMAND, '--conf', conf, '--config', config, '--path', path, '--report', 'json', ...more];
  const measured = await measure(process.execPath, args, folder);
  const { rows } = JSON.parse(measured.stdout) as { rows: number };
  const counted = await countRows(target.endsWith('.parquet') ? path : `${path}/*.parquet`);
  if (rows !== topic.messages || counted !== topic.messages) {
    throw new Error(`${target} has ${counted} rows, ${rows} were reported, ${topic.messages} were produced`);
  }
  rmSync(path, { recursive: true, force: true });
  return measured;
}

async function countRows(glob: string): Promise<number> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const reader = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM '${glob}'`);
  connection.closeSync();
  return Number(reader.getRows()[0]?.[0]);
}

async function compare(list: readonly Contender[], topic: BenchTopic): Promise<Result[]> {
  const measured = new Map<string, Measurement[]>(list.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of list) {
      const one = await contender.run(round);
      measured.get(contender.name)?.push(one);
      console.log(`round ${round + 1} of ${ROUNDS}: ${contender.name} ${one.seconds.toFixed(2)} s`);
    }
  }
  return [...measured].map(([name, runs]) => {
    const seconds = median(runs.map((one) => one.seconds));
    return {
      name,
      seconds,
      cpuSeconds: median(runs.map((one) => one.cpuSeconds)),
      peakRssBytes: median(runs.map((one) => one.peakRssBytes)),
      rowsPerSecond: topic.messages / seconds,
      mebibytesPerSecond: topic.messageBytes / 1024 ** 2 / seconds,
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function print(
  { bench, baseline: base }: { readonly bench: string; readonly baseline: string },
  results: readonly Result[],
  topic: BenchTopic,
): void {
  const baseline = results.find(({ name }) => name.startsWith(base))?.seconds;
  const bytes = topic.messageBytes / topic.messages;
  console.log(
    `\n${topic.messages.toLocaleString('en-US')} messages of ${bytes.toFixed(0)} bytes, ${cpus().length} cores, Node ${process.version}, medians of ${ROUNDS}`,
  );
  console.table(
    results.map((result) => ({
      contender: result.name,
      'wall s': result.seconds.toFixed(2),
      'rows/s': Math.round(result.rowsPerSecond),
      'MiB/s': result.mebibytesPerSecond.toFixed(1),
      'CPU s': result.cpuSeconds.toFixed(1),
      'peak RSS MiB': Math.round(result.peakRssBytes / 1024 ** 2),
      [`x ${base}`]: baseline === undefined ? '-' : (result.seconds / baseline).toFixed(2),
    })),
  );
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, `${bench}-${topic.messages}.json`);
  writeFileSync(file, `${JSON.stringify({ cores: cpus().length, node: process.version, topic, results }, null, 2)}\n`);
  console.log(`written to ${file}`);
}
