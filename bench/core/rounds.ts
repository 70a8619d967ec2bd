/** Contenders in turns: each reads the same input once a round, so that a slow minute of the machine is shared by all. */
import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import type { Measurement } from './measure.ts';
import { type Input, type MemorySample, type Result, type Run, summarize } from './results.ts';

export interface Contender {
  readonly name: string;
  readonly isOurs: boolean;
  /** Where it is not that of the others. */
  readonly input?: Input;
  /** Runs it once; what it wrote is checked outside the measured time. */
  run(round: number): Promise<ContenderRun>;
}

export interface ContenderRun {
  readonly measured: Measurement;
  readonly dataSeconds?: number;
  /** Rows that it wrote and the sum of their hashes; absent where it writes none. */
  readonly output?: { readonly rows: number; readonly checksum: string };
}

/**
 * Runs the first contender once more, before all and unmeasured.
 *
 * @param input What is known to be in the topic: every contender that writes must have written as many rows.
 * @returns One result for each contender, in their order.
 * @throws Error in one line: a contender wrote another number of rows, or other rows than the one before.
 */
export async function runRounds(contenders: readonly Contender[], input: Input, rounds: number): Promise<Result[]> {
  const runs = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]));
  const memories = new Map<string, readonly MemorySample[]>();
  const checksums = new Map<Input, Expected>();
  // The broker's first answers are slow, and topics for offsets are made: that is nobody's time.
  await contenders[0]?.run(rounds);
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      // What others wrote goes to the disk before, not during the next run.
      spawnSync('sync');
      const [loadBefore = 0] = loadavg();
      const { measured, dataSeconds, output } = await contender.run(round);
      if (output) checkOutput(contender, output, contender.input ?? input, checksums);
      const { seconds, cpuSeconds, peakRssBytes } = measured;
      runs.get(contender.name)?.push({
        ...{ seconds, cpuSeconds, peakRssBytes, loadBefore },
        ...(dataSeconds !== undefined && { dataSeconds }),
        ...(output && { checksum: output.checksum }),
      });
      memories.set(contender.name, measured.memory);
      console.log(
        `round ${round + 1} of ${rounds}: ${contender.name} ${seconds.toFixed(2)} s (load before ${loadBefore.toFixed(1)})`,
      );
    }
  }
  return contenders.map(({ name, isOurs, input: own }) => {
    const head = { contender: name, isOurs, ...(own && { input: own }) };
    return summarize(head, own ?? input, runs.get(name) ?? [], memories.get(name));
  });
}

interface Expected {
  readonly name: string;
  readonly checksum: string;
}

/** @param checksums Of the first output of each input. */
function checkOutput(
  { name }: Contender,
  output: { readonly rows: number; readonly checksum: string },
  input: Input,
  checksums: Map<Input, Expected>,
): void {
  if (output.rows !== input.rows) throw new Error(`${name} wrote ${output.rows} rows, and ${input.rows} are there`);
  const expected = checksums.get(input);
  if (!expected) {
    checksums.set(input, { name, checksum: output.checksum });
  } else if (output.checksum !== expected.checksum) {
    throw new Error(
      `${name} wrote other rows than ${expected.name}: their hashes add up to ${output.checksum}, not ${expected.checksum}`,
    );
  }
}
