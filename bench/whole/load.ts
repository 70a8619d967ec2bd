/** The whole command into Kafka: Parquet to a topic, and that topic to another. What was committed is counted after each run. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { randomName } from '../../test/helpers/topics.ts';
import { measure } from '../core/measure.ts';
import { finishBench } from '../core/output.ts';
import { COMMAND } from '../core/paths.ts';
import type { Input } from '../core/results.ts';
import { type Contender, runRounds } from '../core/rounds.ts';
import { type Workspace, withWorkspace } from '../core/workspace.ts';

const PARTITIONS = 8;

interface LoadReport {
  readonly rows: number;
  readonly load: { readonly transactions: number };
}

/** What the two contenders of one round share: the second reads what the first has written. */
interface Round {
  readonly conf: string;
  readonly first: string;
  readonly second: string;
}

export async function runLoad({ messages, rounds }: { messages: number; rounds: number }): Promise<void> {
  const startedAt = new Date();
  const series = await withWorkspace(async (workspace) => {
    const file = join(workspace.folder, 'rows.parquet');
    const input = { ...(await writeRows(file, messages)), partitions: PARTITIONS, codec: 'lz4' };
    const made: Round[] = [];
    const roundOf = (index: number): Round => {
      made[index] ??= makeRound(workspace);
      return made[index];
    };
    const contender = (name: string, source: (round: Round) => readonly string[], sink: 'first' | 'second') => ({
      name,
      isOurs: true,
      run: (index: number) => load(workspace, roundOf(index), input, source(roundOf(index)), sink),
    });
    const contenders: Contender[] = [
      contender('Parquet to topic', () => ['--path', file], 'first'),
      contender('topic to topic', () => ['--config', 'first'], 'second'),
    ];
    return { name: 'load', input, rounds, results: await runRounds(contenders, input, rounds) };
  });
  finishBench('load', startedAt, [series]);
}

async function load(
  { folder, topics }: Workspace,
  round: Round,
  input: Input,
  source: readonly string[],
  sink: 'first' | 'second',
) {
  const args = [COMMAND, '--conf', round.conf, ...source, '--write-config', sink, '--report', 'json'];
  const measured = await measure(process.execPath, args, { cwd: folder });
  checkCount(input.rows, JSON.parse(measured.stdout) as LoadReport, await topics.endOffsets(round[sink]));
  return { measured };
}

/** Rows as a nightly export has them: a key that repeats, and JSON of about 180 bytes. */
async function writeRows(path: string, rows: number): Promise<Input> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`COPY (
    SELECT 'user-' || (hash(i) % 50000) AS key,
      '{"id":' || i || ',"user":"user-' || (hash(i) % 50000) || '","event":"' || (['click','view','buy'])[1 + i % 3]
        || '","ts":"' || strftime(make_timestamp_ms(1795341600000 + i * 3), '%Y-%m-%dT%H:%M:%S.%gZ')
        || '","session":"' || md5(i::VARCHAR) || '","path":"/p/' || (hash(i + 1) % 1000) || '"}' AS value
    FROM range(${rows}) t(i)) TO '${path}' (FORMAT parquet)`);
  const reader = await connection.runAndReadAll(
    `SELECT sum(strlen(key) + strlen(value))::DOUBLE FROM read_parquet('${path}')`,
  );
  const messageBytes = Number(reader.getRows()[0]?.[0]);
  connection.closeSync();
  instance.closeSync();
  return { rows, messageBytes };
}

/** Each round has a progress of its own: a file that was loaded before would write nothing. */
function makeRound({ bootstrapServers, folder, topics }: Workspace): Round {
  const [first, second] = [topics.reserve('bench-load'), topics.reserve('bench-copy')];
  const kafka = {
    serverOptions: { 'bootstrap.servers': bootstrapServers },
    progressTopic: topics.reserve('bench-progress'),
    topics: {
      first: { topicName: first, partitions: PARTITIONS },
      second: { topicName: second, partitions: PARTITIONS },
      comet_offsets: { topicName: topics.reserve('bench-offsets') },
    },
  };
  const conf = join(folder, `${randomName('load')}.json`);
  writeFileSync(conf, JSON.stringify({ kafka }));
  return { conf, first, second };
}

/** Each transaction leaves a marker in each partition that it wrote to, and nothing else is in the topic. */
function checkCount(rows: number, report: LoadReport, ends: readonly number[]): void {
  const offsets = ends.reduce((sum, end) => sum + end, 0);
  const mostMarkers = report.load.transactions * ends.length;
  if (report.rows === rows && offsets > rows && offsets <= rows + mostMarkers) return;
  throw new Error(`${report.rows} rows were reported, ${offsets} offsets written, of ${rows} rows`);
}
