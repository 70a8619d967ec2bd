import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, type FileSystem, nodeFileSystem, systemClock } from '../../../src/io.ts';
import { closeSession, expectedRows, type LoadOptions, load, makeBase, openSession, visibleRows } from './harness.ts';

/** What a run of FILE mode removes of others (src/commit/fileSettle.ts), while it and they are asleep and awake by turns. */

let options: LoadOptions;
let remove: () => Promise<void>;

beforeEach(async () => {
  const made = await makeBase();
  remove = made.remove;
  const settings = { heartbeatMs: 60_000, takeOverAfterMs: 60_000 };
  options = { base: made.base, target: 'folder', writeMode: 'Append', highWatermark: 5, ...settings };
});

afterEach(() => remove());

/** Where a run sleeps until it is woken. */
class Bed {
  /** Resolves when a run sleeps in it. */
  readonly reached: Promise<void>;
  readonly #woken: Promise<void>;
  #reach: () => void = () => undefined;
  #wake: () => void = () => undefined;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  sleep(): Promise<void> {
    this.#reach();
    return this.#woken;
  }

  wake(): void {
    this.#wake();
  }
}

/** Runs are ordered by the second in which they began. */
function clockAt(second: number): Clock {
  return { ...systemClock, nowMs: () => 1_800_000_000_000 + second * 1_000 };
}

test('a sleeper that was fenced leaves staging alone whose run has got its name meanwhile', async () => {
  const beds = { listed: new Bed(), stagingMade: new Bed(), prepared: new Bed(), named: new Bed(), read: new Bed() };
  const { listed, stagingMade, prepared, named, read } = beds;
  const first = load(options, {
    clock: clockAt(1),
    onStep: async (name) => {
      const bed = { 'open.listed': listed, 'open.stagingMade': stagingMade, 'prepare.after': prepared }[name];
      await bed?.sleep();
    },
  });
  await listed.reached;

  // The second has the same number, is fenced in its sleep, and what it made is removed.
  const fs: FileSystem = {
    ...nodeFileSystem,
    readFile: async (path) => {
      const bytes = await nodeFileSystem.readFile(path);
      if (path.includes('.temp.')) await read.sleep();
      return bytes;
    },
  };
  const second = load(options, {
    clock: clockAt(2),
    fs,
    onStep: async (name) => {
      if (name === 'open.runCreated') await named.sleep();
    },
  });
  await named.reached;
  await closeSession(await openSession(options, { command: { discard: false }, takeOver: true, clock: clockAt(3) }));

  // The first has written who it is, not yet under its name, when the second wakes and finds that.
  listed.wake();
  await stagingMade.reached;
  named.wake();
  await read.reached;
  stagingMade.wake();
  await prepared.reached;
  read.wake();
  expect(await second).toMatchObject({ outcome: 'FENCED' });

  prepared.wake();
  expect(await first).toMatchObject({ outcome: 'ok', rows: 10 });
  expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
});
