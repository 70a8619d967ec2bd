/**
 * The whole command into Kafka: Parquet to a topic, and that topic to another. The records that were committed are
 * counted after each run.
 *
 *     npm run bench -- load [ROWS]        KAFKA_BOOTSTRAP_SERVERS: a running broker instead of an own one
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { startKafka } from '../test/helpers/broker.ts';
import { randomName, TestTopics } from '../test/helpers/topics.ts';
import { type Measurement, measure } from './measure.ts';

const ROWS = 2_000_000;
const PARTITIONS = 8;
const ROUNDS = 3;
const COMMAND = join(import.meta.dirname, '..', 'src', 'cli.js');
const RESULTS = join(import.meta.dirname, '..', '..', 'bench', 'results');

interface LoadReport {
  readonly rows: number;
  readonly load: { readonly transactions: number };
}

interface Line {
  readonly way: string;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

export async function run(rows = ROWS): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-bench-'));
  const given = process.env.KAFKA_BOOTSTRAP_SERVERS;
  const broker = given ? null : await startKafka();
  const bootstrapServers = given ?? broker?.bootstrapServers ?? '';
  const topics = new TestTopics(bootstrapServers);
  const measured: Record<string, Measurement[]> = { 'Parquet to topic': [], 'topic to topic': [] };
  try {
    const file = join(folder, 'rows.parquet');
    await writeRows(file, rows);
    for (let round = 0; round < ROUNDS; round++) {
      const [first, second] = [topics.reserve('bench-load'), topics.reserve('bench-copy')];
      const conf = writeConf(folder, bootstrapServers, topics, [first, second]);
      const ways = { 'Parquet to topic': ['--path', file], 'topic to topic': ['--config', 'first'] };
      for (const [way, source] of Object.entries(ways)) {
        const sink = way === 'topic to topic' ? 'second' : 'first';
        const args = [COMMAND, '--conf', conf, ...source, '--write-config', sink, '--report', 'json'];
        const one = await measure(process.execPath, args, folder);
        const report = JSON.parse(one.stdout) as LoadReport;
        const ends = await topics.endOffsets(sink === 'first' ? first : second);
        checkCount(rows, report, ends);
        measured[way]?.push(one);
        console.log(`round ${round + 1} of ${ROUNDS}: ${way} ${one.seconds.toFixed(2)} s`);
      }
    }
  } finally {
    await topics.cleanUp();
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  print(
    rows,
    Object.entries(measured).map(([way, runs]) => summarize(way, rows, runs)),
  );
}

/** Rows as a nightly export has them: a key that repeats, and JSON of about 180 bytes. */
async function writeRows(path: string, rows: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (
    SELECT 'user-' || (hash(i) % 50000) AS key,
      '{"id":' || i || ',"user":"user-' || (hash(i) % 50000) || '","event":"' || (['click','view','buy'])[1 + i % 3]
        || '","ts":"' || strftime(make_timestamp_ms(1795341600000 + i * 3), '%Y-%m-%dT%H:%M:%S.%gZ')
        || '","session":"' || md5(i::VARCHAR) || '","path":"/p/' || (hash(i + 1) % 1000) || '"}' AS value
    FROM range(${rows}) t(i)) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

function writeConf(folder: string, bootstrapServers: string, topics: TestTopics, names: readonly string[]): string {
  const [first, second] = names;
  const kafka = {
    serverOptions: { 'bootstrap.servers': bootstrapServers },
    progressTopic: topics.reserve('bench-progress'),
    topics: {
      first: { topicName: first, partitions: PARTITIONS },
      second: { topicName: second, partitions: PARTITIONS },
      comet_offsets: { topicName: topics.reserve('bench-offsets') },
    },
  };
  const path = join(folder, `${randomName('load')}.json`);
  writeFileSync(path, JSON.stringify({ kafka }));
  return path;
}

/** Each transaction leaves a marker in each partition that it wrote to, and nothing else is in the topic. */
function checkCount(rows: number, report: LoadReport, ends: readonly number[]): void {
  const offsets = ends.reduce((sum, end) => sum + end, 0);
  const mostMarkers = report.load.transactions * ends.length;
  if (report.rows === rows && offsets > rows && offsets <= rows + mostMarkers) return;
  throw new Error(`${report.rows} rows were reported, ${offsets} offsets written, of ${rows} rows`);
}

function summarize(way: string, rows: number, runs: readonly Measurement[]): Line {
  const median = (pick: (one: Measurement) => number): number =>
    runs.map(pick).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? Number.NaN;
  const seconds = median((one) => one.seconds);
  return {
    way,
    seconds,
    rowsPerSecond: rows / seconds,
    cpuSeconds: median((one) => one.cpuSeconds),
    peakRssBytes: median((one) => one.peakRssBytes),
  };
}

function print(rows: number, lines: readonly Line[]): void {
  console.log(
    `\n${rows.toLocaleString('en-US')} rows, ${cpus().length} cores, Node ${process.version}, medians of ${ROUNDS}`,
  );
  console.table(
    lines.map(({ way, seconds, rowsPerSecond, cpuSeconds, peakRssBytes }) => ({
      way,
      'wall s': seconds.toFixed(2),
      'rows/s': Math.round(rowsPerSecond),
      'CPU s': cpuSeconds.toFixed(1),
      'peak RSS MiB': Math.round(peakRssBytes / 1024 ** 2),
    })),
  );
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, `load-${rows}.json`);
  writeFileSync(file, `${JSON.stringify({ cores: cpus().length, node: process.version, rows, lines }, null, 2)}\n`);
  console.log(`written to ${file}`);
}
