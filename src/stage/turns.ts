/**
 * Order of rows in files that are read from front to back: tasks of one partition write one after the other.
 *
 * Tasks are handed out in order, so the first that has not ended is always being worked on, and whoever waits for it has
 * fetched and encoded meanwhile; it holds what it encoded, one body, until it may write. Workers therefore stay busy as
 * long as tasks are about as large as a body.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 2;

/** A task among those of its partition: both are positions in the list of all tasks. */
export interface Turn {
  /** The first task of the partition. */
  readonly first: number;
  readonly own: number;
}

/** For each task a byte: 1 when it has written all it has, what it left to others included. */
export type TurnFlags = SharedArrayBuffer;

export function createTurns(tasks: number): TurnFlags {
  return new SharedArrayBuffer(tasks);
}

/** Gives each task its turn. @param tasks In partition, then offset order. */
export function takeTurns<Task extends { readonly range: { readonly topic: string; readonly partition: number } }>(
  tasks: readonly Task[],
): (Task & { readonly turn: Turn })[] {
  let first = 0;
  return tasks.map((task, own) => {
    const { topic, partition } = task.range;
    const { range } = tasks[first] as Task;
    if (range.topic !== topic || range.partition !== partition) first = own;
    return { ...task, turn: { first, own } };
  });
}

/**
 * Waits until all earlier tasks of the partition have ended.
 *
 * @param check Throws when there is no more sense in waiting.
 */
export async function waitForTurn(flags: TurnFlags, { first, own }: Turn, check: () => void): Promise<void> {
  const ended = new Uint8Array(flags);
  for (let next = first; next < own; ) {
    if (Atomics.load(ended, next) === 1) {
      next++;
      continue;
    }
    check();
    await sleep(POLL_MS);
  }
}

export function endTurn(flags: TurnFlags, { own }: Turn): void {
  Atomics.store(new Uint8Array(flags), own, 1);
}
