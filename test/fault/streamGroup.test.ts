import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { CONTINUOUS, CrashedStream, type CrashedStreamOptions, EVERY, PARTITIONS } from '../helpers/crashedStream.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import type { SteppedCommand } from '../helpers/steps.ts';
import { RunningStream } from '../helpers/streams.ts';
import { delay, waitFor } from '../helpers/wait.ts';
import { Workspace } from '../helpers/workspace.ts';

/**
 * Three processes of one group, while messages come all the time: killed, stopped in order and joined by others at random
 * moments; and asleep across a rebalance. The oracle: each value once. `KAFKALOAD_TEST_SEED` repeats a run of kills and
 * joins, as far as the machine lets it.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const SEED = Number(process.env.KAFKALOAD_TEST_SEED || randomInt(2 ** 31));
const CHAOS_MS = ALL ? 120_000 : 12_000;
/** The whole keeps every core busy with other tests. */
const PACE = ALL ? 3 : 1;
const PER_SECOND = 300;
const PROCESSES = 3;
const TIMEOUT_MS = 1_200_000;

let workspace: Workspace;
let server: PostgresServer;
const streams: CrashedStream[] = [];
const running = new Set<RunningStream>();

beforeAll(async () => {
  [workspace, server] = await Promise.all([Workspace.open(inject('bootstrapServers')), startPostgres()]);
});

afterAll(async () => {
  // Only those of a test that failed: a stopped process never ends by itself.
  for (const { run } of running) run.child.kill('SIGKILL');
  for (const { place } of streams) await place.producer.close();
  await workspace.close();
  await server.stop();
});

async function make(options: CrashedStreamOptions): Promise<CrashedStream> {
  const stream = await CrashedStream.make(workspace, { ...options, server });
  streams.push(stream);
  return stream;
}

/** The same numbers for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** All that was sent is committed; those that are left stop in order, and one more finishes what was killed. */
async function settle(stream: CrashedStream, what: string): Promise<number> {
  await stream.place.producer.end();
  await stream.untilAll(what);
  for (const one of [...running]) {
    await one.says('joined group');
    running.delete(one);
    await one.stop();
  }
  await stream.finish();
  return stream.check(what);
}

test.each([
  ['folder', 'ProcessingTime', EVERY],
  ['PostgreSQL', 'ProcessingTime', EVERY],
  ['topic', 'ProcessingTime', EVERY],
  ['topic', 'Continuous', CONTINUOUS],
] as const)(
  'three processes, killed and joined at random, into %s by %s: each value once',
  async (layout, mode, trigger) => {
    console.log(`three processes into ${layout} by ${mode}: KAFKALOAD_TEST_SEED=${SEED}`);
    const random = randomFrom(SEED);
    const stream = await make({ layout, access: { maxOffsetsPerTrigger: 600 } });
    const add = (): void => void running.add(stream.every({}, trigger));
    const take = (): RunningStream | undefined => {
      const one = [...running][Math.floor(random() * running.size)];
      if (one) running.delete(one);
      return one;
    };
    stream.place.producer.begin(PER_SECOND);
    for (let count = 0; count < PROCESSES; count++) add();
    // The chaos begins when the first rows are through.
    await waitFor('the first rows', async () => {
      const offsets = await workspace.topics.groupOffsets(stream.place.group, stream.place.topic, PARTITIONS);
      return offsets.some((offset) => offset > 0);
    });
    let kills = 0;
    for (const endMs = performance.now() + CHAOS_MS; performance.now() < endMs; ) {
      await delay(PACE * (300 + random() * 2_500));
      for (const { run } of running) {
        expect(run.child.exitCode, `seed ${SEED}: one ended by itself: ${run.output().stderr}`).toBeNull();
      }
      const one = take();
      // One that has only begun to start does not know of signals yet.
      if (random() < 0.25 && one?.run.output().stderr.includes('joined group')) await one.stop();
      else {
        await one?.kill();
        kills += 1;
      }
      add();
    }
    const rows = await settle(stream, `seed ${SEED}`);
    countFaults({ kind: 'kills and joins of a group', layout, mode }, { kills, rows });
  },
  TIMEOUT_MS,
);

describe('one of three asleep across a rebalance', () => {
  const cases = [
    { layout: 'folder', name: 'chain.entryStaged', trigger: EVERY },
    { layout: 'folder', name: 'stage.rowsWritten', trigger: EVERY },
    { layout: 'topic', name: 'stream.offsetsSent', trigger: EVERY },
    { layout: 'topic', name: 'stream.rowsSent', trigger: EVERY },
    { layout: 'PostgreSQL', name: 'table.rowsCopied', trigger: EVERY },
    { layout: 'PostgreSQL', name: 'table.begun', trigger: EVERY },
    { layout: 'topic', name: 'stream.offsetsSent', trigger: CONTINUOUS },
    { layout: 'topic', name: 'stream.rowsSent', trigger: CONTINUOUS },
  ] as const;

  test.each(cases.filter((_, index) => ALL || index % 2 === 0))(
    'with a micro-batch under way into a $layout by $trigger.1, at $name: no row twice, none lost',
    async ({ layout, name, trigger }) => {
      const session = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 500 };
      const stream = await make({ layout, access: { ...session, maxOffsetsPerTrigger: 600 } });
      const { producer, group, topic, folder } = stream.place;
      const armed = join(folder, 'armed');
      const sleeper: SteppedCommand = stream.startStepped(trigger, { name, when: armed, signal: 'SIGSTOP' });
      const all = [new RunningStream(sleeper), stream.every({}, trigger), stream.every({}, trigger)];
      for (const one of all) running.add(one);
      producer.begin(PER_SECOND);
      // Each has a partition.
      for (const one of all) await one.says('ours now');
      await waitFor('rows of each', async () => {
        const offsets = await workspace.topics.groupOffsets(group, topic, PARTITIONS);
        return offsets.every((offset) => offset > 0);
      });
      writeFileSync(armed, '');
      await waitFor('one to sleep', () => sleeper.isSignalled());
      const asleepAt = await workspace.topics.groupOffsets(group, topic, PARTITIONS);
      // The others have its partition, and go on with it.
      await waitFor('the others to go on', async () => {
        const offsets = await workspace.topics.groupOffsets(group, topic, PARTITIONS);
        return offsets.every((offset, partition) => offset > (asleepAt[partition] ?? 0) + PER_SECOND / PARTITIONS);
      });
      sleeper.child.kill('SIGCONT');
      await new RunningStream(sleeper).says(/lost|abandoned/);
      await delay(1_000);
      const rows = await settle(stream, name);
      countFaults({ kind: 'asleep across a rebalance', layout, mode: trigger[1] }, { kills: 1, rows });
    },
    TIMEOUT_MS,
  );
});
