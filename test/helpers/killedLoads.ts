/** Loads that are killed with SIGKILL at random moments and started again. */
import { expect } from 'vitest';
import { countFaults } from './faultCounts.ts';
import type { LoadJob } from './loads.ts';
import { readTopic } from './producers.ts';
import { delay } from './wait.ts';

async function progressOf(job: LoadJob): Promise<number> {
  if (!(await job.topics.exists(job.to))) return 0;
  return (await job.topics.endOffsets(job.to)).reduce((sum, end) => sum + end, 0);
}

/**
 * Starts runs and kills each a random time after it began to write; then lets one come to its end. Under
 * `read_committed` each row must then be in the topic exactly once.
 *
 * @param values Of all rows; no two are the same.
 * @param kind Of the line in the table of faults.
 */
export async function killAndRestart(
  job: LoadJob,
  args: readonly string[],
  values: readonly string[],
  { kills, kind }: { readonly kills: number; readonly kind: string },
): Promise<void> {
  const killed: string[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const before = await progressOf(job);
    const run = job.start(...args);
    const isOver = (): boolean => run.child.exitCode !== null;
    // Some before they write anything, most while they do.
    const isEarly = kill % 5 === 4;
    while (!isEarly && !isOver() && (await progressOf(job)) === before) await delay(5);
    const waitMs = Math.random() * (isEarly ? 1_500 : 120);
    await delay(waitMs);
    run.child.kill('SIGKILL');
    const { code, stderr } = await run.result;
    killed.push(`killed after ${Math.round(waitMs)} ms at ${await progressOf(job)}, exit ${code}`);
    expect([null, 0], `${killed.join('\n')}\n${stderr}`).toContain(code);
  }
  const last = await job.run(...args);
  expect(last.code, `${killed.join('\n')}\n${last.stderr}`).toBe(0);
  const found = (await readTopic(job.bootstrapServers, job.to)).map(({ value }) => value?.toString() ?? '');
  const seen = new Set(found);
  const missing = values.filter((value) => !seen.has(value));
  const story = `${killed.join('\n')}\n${last.stdout}\nmissing: ${missing.length}, ${missing.slice(0, 3)} ... ${missing.slice(-3)}`;
  expect(missing.length, story).toBe(0);
  expect(found.length, story).toBe(values.length);
  countFaults({ kind, layout: 'topic', mode: job.mode }, { kills, rows: values.length });
}
