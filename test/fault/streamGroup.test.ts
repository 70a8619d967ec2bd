import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CONTINUOUS, EVERY, PARTITIONS } from '../helpers/crashedStream.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { useStreamGroups } from '../helpers/streamGroup.ts';
import { delay, waitFor } from '../helpers/wait.ts';

/**
 * Three processes of one group, while messages come all the time: killed, stopped in order and joined by others at random
 * moments. The oracle: each value once. `KAFKALOAD_TEST_SEED` repeats a run of kills and joins, as far as the machine lets
 * it.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const SEED = Number(process.env.KAFKALOAD_TEST_SEED || randomInt(2 ** 31));
const CHAOS_MS = ALL ? 120_000 : 12_000;
/** The whole keeps every core busy with other tests, and with the groups of this file: they spend most of it waiting. */
const PACE = ALL ? 3 : 1;
const PER_SECOND = 300;
const PROCESSES = 3;
const TIMEOUT_MS = 1_200_000;

const groups = useStreamGroups();

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

describe('three processes, killed and joined at random', { concurrent: ALL }, () => {
  test.each([
    ['folder', 'ProcessingTime', EVERY],
    ['PostgreSQL', 'ProcessingTime', EVERY],
    ['topic', 'ProcessingTime', EVERY],
    ['topic', 'Continuous', CONTINUOUS],
  ] as const)(
    'into %s by %s: each value once',
    async (layout, mode, trigger) => {
      console.log(`three processes into ${layout} by ${mode}: KAFKALOAD_TEST_SEED=${SEED}`);
      const random = randomFrom(SEED);
      const group = await groups.make({ layout, access: { maxOffsetsPerTrigger: 600 } });
      const { stream } = group;
      const add = (): unknown => group.add(stream.every({}, trigger));
      stream.place.producer.begin(PER_SECOND);
      for (let count = 0; count < PROCESSES; count++) add();
      // The chaos begins when the first rows are through.
      await waitFor('the first rows', async () => {
        const offsets = await groups
          .workspace()
          .topics.groupOffsets(stream.place.group, stream.place.topic, PARTITIONS);
        return offsets.some((offset) => offset > 0);
      });
      let kills = 0;
      for (const endMs = performance.now() + CHAOS_MS; performance.now() < endMs; ) {
        await delay(PACE * (300 + random() * 2_500));
        for (const { run } of group.running) {
          expect(run.child.exitCode, `seed ${SEED}: one ended by itself: ${run.output().stderr}`).toBeNull();
        }
        const one = group.take(random());
        // One that has only begun to start does not know of signals yet.
        if (random() < 0.25 && one?.run.output().stderr.includes('joined group')) await one.stop();
        else {
          await one?.kill();
          kills += 1;
        }
        add();
      }
      const rows = await group.settle(`seed ${SEED}`);
      countFaults({ kind: 'kills and joins of a group', layout, mode }, { kills, rows });
    },
    TIMEOUT_MS,
  );
});
