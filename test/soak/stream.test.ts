import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { mustRun } from '../helpers/cache.ts';
import { type RunningStream, StreamJob } from '../helpers/streams.ts';
import { waitFor } from '../helpers/wait.ts';
import { Workspace } from '../helpers/workspace.ts';

/**
 * `npm run soak -- --stream`. Messages come at a rate, a stream writes them to Parquet every five seconds, and its memory is
 * looked at. What is in the files at the end is compared with what was sent.
 */
const MINUTES = Number(process.env.KAFKALOAD_SOAK_MINUTES ?? '1');
const RATE = Number(process.env.KAFKALOAD_SOAK_RATE || '50000');
const PARTITIONS = 4;
const SAMPLE_EVERY_MS = 5_000;
const WARM_UP_MS = Math.min(60_000, (MINUTES * 60_000) / 4);
/** In a soak that is long enough to tell. */
const MOST_GROWTH = 1.1;
const LONG_MINUTES = 10;

let workspace: Workspace;
let stream: RunningStream | null = null;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(async () => {
  stream?.run.child.kill('SIGKILL');
  await workspace.close();
});

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

/** Of each partition: rows, offsets that differ, the ends; one after another, since the offsets of one take memory. */
async function count(folder: string): Promise<{ rows: number; distinct: number; lost: number; sum: number }> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '1GB' });
  const connection = await instance.connect();
  const all = { rows: 0, distinct: 0, lost: 0, sum: 0 };
  try {
    await connection.run(`SET temp_directory = '${join(folder, '.duckdb')}'`);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const reader = await connection.runAndReadAll(`
        SELECT count(*)::DOUBLE AS rows, count(DISTINCT "offset")::DOUBLE AS distinct_offsets,
          coalesce(max("offset") + 1, 0)::DOUBLE AS ends, sum(rtrim(value, '.')::DOUBLE) AS sum
        FROM read_parquet('${folder}/*.parquet') WHERE partition = ${partition}`);
      const [found] = reader.getRowObjectsJson() as Record<string, number>[];
      const { rows = 0, distinct_offsets: distinct = 0, ends = 0, sum = 0 } = found ?? {};
      all.rows += rows;
      all.distinct += distinct;
      all.lost += ends - distinct;
      all.sum += sum;
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  return all;
}

test('a stream at a steady rate loses nothing, repeats nothing, and needs no more memory in the end', {
  timeout: MINUTES * 60_000 + 1_200_000,
}, async () => {
  const topic = await workspace.topics.create('soak-stream', { partitions: PARTITIONS });
  const job = await StreamJob.make(workspace, { topic });
  stream = job.every('5 seconds');
  const { run } = stream;
  await stream.says('ours now');
  const producer = fileURLToPath(new URL('rateProducer.mjs', import.meta.url));
  const args = [producer, workspace.bootstrapServers, topic, ...[PARTITIONS, RATE, MINUTES * 60].map(String)];
  const startMs = performance.now();
  const samples: number[] = [];
  const sampler = setInterval(() => {
    if (performance.now() - startMs < WARM_UP_MS) return;
    residentBytes(run.child.pid ?? 0).then(
      (bytes) => samples.push(bytes),
      () => {},
    );
  }, SAMPLE_EVERY_MS);
  const { sent, seconds } = JSON.parse(await mustRun(process.execPath, args)) as { sent: number; seconds: number };
  clearInterval(sampler);
  await waitFor(
    `${sent} rows to be committed`,
    async () => {
      expect(run.child.exitCode, run.output().stderr).toBeNull();
      const offsets = await workspace.topics.groupOffsets(job.group, topic, PARTITIONS);
      return offsets.reduce((sum, offset) => sum + offset, 0) >= sent;
    },
    { timeoutMs: 600_000, everyMs: 500 },
  );
  const tookMs = performance.now() - startMs;
  const report = await stream.stop();
  const found = await count(job.job.out);
  const verified = await job.verify();

  const third = Math.max(1, Math.floor(samples.length / 3));
  const [first, last] = [median(samples.slice(0, third)), median(samples.slice(-third))];
  const number = (value: number): string => Math.round(value).toLocaleString('en-US');
  const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  const doubled = found.rows - found.distinct;
  console.log(
    [
      `soak of a stream, ${MINUTES} min: ${number(sent)} messages sent in ${seconds.toFixed(0)} s, ${number(sent / seconds)} a second`,
      `  rows ${number(found.rows)} in ${number(tookMs / 1_000)} s, ${number(found.rows / (tookMs / 1_000))} a second; micro-batches ${report.stream.microBatches}, files ${report.stream.files}`,
      `  doubled ${doubled}, lost ${sent - found.distinct}, verify ${verified.code === 0 ? 'clean' : `ended with ${verified.code}`}`,
      `  RSS of ${samples.length} samples: median of the first third ${mebibytes(first)}, of the last ${mebibytes(last)}, ratio ${(last / first).toFixed(3)}`,
    ].join('\n'),
  );
  expect({ rows: found.rows, doubled, lost: found.lost }).toEqual({ rows: sent, doubled: 0, lost: 0 });
  expect(found.sum).toBe((sent * (sent - 1)) / 2);
  expect(verified.code, verified.stdout).toBe(0);
  expect(report.rows).toBe(sent);
  if (MINUTES >= LONG_MINUTES) expect(last / first).toBeLessThan(MOST_GROWTH);
});
