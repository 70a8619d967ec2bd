import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type JsonReport, runCommand } from '../helpers/command.ts';
import { fillPartitions } from '../helpers/manyMessages.ts';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';

/** What the whole process takes at its highest, from the system: Node, its threads and their buffers. */

const MIB = 1024 ** 2;
const PRELOAD = fileURLToPath(new URL('../helpers/peakPreload.cjs', import.meta.url));
/** As a broker takes them by default, with room for the rest of the batch. */
const LARGE_BYTES = 1_040_000;

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

async function measured(job: OffloadJob, ...more: string[]): Promise<{ rows: number; peakMib: number }> {
  const peakFile = join(job.folder, 'peak');
  const env = { NODE_OPTIONS: `--require=${PRELOAD}`, KAFKALOAD_TEST_PEAK: peakFile };
  const args = job.args(['--workers', '2', '--report', 'json', ...more]);
  const { code, stdout, stderr } = await runCommand(args, { cwd: job.folder, env });
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
  const peakBytes = Number(await readFile(peakFile, 'utf8'));
  return { rows: (JSON.parse(stdout) as JsonReport).rows, peakMib: Math.round(peakBytes / MIB) };
}

// The system tells the peak of a process on Linux alone.
describe.runIf(process.platform === 'linux')('the peak of resident memory', () => {
  test.each([
    ['parquet', 'value', []],
    ['json', 'value as STRING', []],
    ['parquet', 'value', ['--write-partition-by', 'partition']],
  ])(
    'stays within 330 MiB under --max-memory 128MiB: values of 1 MB in 64 partitions, to %s of %s %j',
    async (format, value, more) => {
      const topic = await largeMessages();
      const fields = [value, 'partition as INT', 'offset as LONG'];
      const job = await work.job({ topic, entry: { fields } });
      const { rows, peakMib } = await measured(job, '--max-memory', '128MiB', '--write-format', format, ...more);
      expect(rows).toBe(128);
      expect(peakMib).toBeLessThan(330);
      const read = format === 'json' ? 'read_json' : 'read_parquet';
      const counted = `count(*)::INT AS rows, count(DISTINCT (partition, "offset"))::INT AS places`;
      const path = more.length > 0 ? '**/*.parquet' : `*.${format}`;
      expect(
        await query(
          `SELECT ${counted}, sum(octet_length(value::BLOB))::DOUBLE AS bytes FROM ${read}('${job.out}/${path}')`,
        ),
      ).toEqual([{ rows: 128, places: 128, bytes: 128 * LARGE_BYTES }]);
    },
  );

  test('stays within 300 MiB by default: 1.5 M messages of 200 bytes', async () => {
    const topic = await work.topics.create('many', { partitions: 4 });
    await fillPartitions({
      bootstrapServers,
      topic,
      partitions: 4,
      messages: 1_500_000,
      bytes: 200,
      compression: 'lz4',
    });
    const job = await work.job({ topic });
    const { rows, peakMib } = await measured(job, '--max-memory', '320MiB');
    expect(rows).toBe(1_500_000);
    expect(peakMib).toBeLessThan(300);
    expect(await query(`SELECT count(*)::INT AS rows FROM '${job.out}/*.parquet'`)).toEqual([{ rows: 1_500_000 }]);
  });
});

let large: Promise<string> | undefined;
/** Two of them in each partition, of text that does not compress. */
function largeMessages(): Promise<string> {
  large ??= (async () => {
    const topic = await work.topics.create('large', { partitions: 64 });
    await fillPartitions({
      bootstrapServers,
      topic,
      partitions: 64,
      messages: 128,
      bytes: LARGE_BYTES,
      compression: 'none',
    });
    return topic;
  })();
  return large;
}
