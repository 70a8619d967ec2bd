import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { CONTINUOUS, EVERY, PARTITIONS } from '../helpers/crashedStream.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import type { SteppedCommand } from '../helpers/steps.ts';
import { useStreamGroups } from '../helpers/streamGroup.ts';
import { RunningStream } from '../helpers/streams.ts';
import { delay, waitFor } from '../helpers/wait.ts';

/** A process of a group that sleeps with a micro-batch under way, while others take its partitions. The oracle: each value once. */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const PER_SECOND = 300;
const TIMEOUT_MS = 1_200_000;

const groups = useStreamGroups();

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
      const access = { ...session, maxOffsetsPerTrigger: 600 };
      const processes = await groups.make({ layout, access });
      const { stream } = processes;
      const { producer, group, topic, folder } = stream.place;
      const armed = join(folder, 'armed');
      const sleeper: SteppedCommand = stream.startStepped(trigger, { name, when: armed, signal: 'SIGSTOP' });
      for (const one of [new RunningStream(sleeper), stream.every({}, trigger), stream.every({}, trigger)]) {
        processes.add(one);
      }
      producer.begin(PER_SECOND);
      // Each has a partition.
      for (const one of processes.running) await one.says('ours now');
      await waitFor('rows of each', async () => {
        const offsets = await groups.workspace().topics.groupOffsets(group, topic, PARTITIONS);
        return offsets.every((offset) => offset > 0);
      });
      writeFileSync(armed, '');
      await waitFor('one to sleep', () => sleeper.isSignalled());
      const asleepAt = await groups.workspace().topics.groupOffsets(group, topic, PARTITIONS);
      // The others have its partition, and go on with it.
      await waitFor('the others to go on', async () => {
        const offsets = await groups.workspace().topics.groupOffsets(group, topic, PARTITIONS);
        return offsets.every((offset, partition) => offset > (asleepAt[partition] ?? 0) + PER_SECOND / PARTITIONS);
      });
      sleeper.child.kill('SIGCONT');
      await new RunningStream(sleeper).says(/lost|abandoned/);
      await delay(1_000);
      const rows = await processes.settle(name);
      countFaults({ kind: 'asleep across a rebalance', layout, mode: trigger[1] }, { kills: 1, rows });
    },
    TIMEOUT_MS,
  );
});
