/** Runs of the real commit (test/unit/commit/harness.ts) on a disk and an offsets topic in memory, and their oracle. */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { readSavedState } from '../../src/commit/session.ts';
import { type Clock, type FileSystem, systemClock } from '../../src/io.ts';
import {
  CONFIG,
  expectedRows,
  folders,
  type LoadOptions,
  type LoadResult,
  load,
  offsetsSettings,
  stagedRuns,
  stateKinds,
  TOPIC,
  visibleRows,
} from '../unit/commit/harness.ts';
import { MemoryDisk } from './memoryDisk.ts';
import { readMemoryTopic, setTopicState, type TopicState, topicState } from './memoryTopic.ts';

const BASE = '/test';

const LAYOUTS = { folder: 'folder', partitioned: 'partitioned', file: 'exact file' } as const;

function commitCase(mode: 'FILE' | 'STREAM', target: LoadOptions['target'], writeMode: LoadOptions['writeMode']) {
  const stream = { bootstrapServers: 'localhost:9092', topic: `offsets-${target}-${writeMode}`, partitions: 1 };
  const options: LoadOptions = {
    ...{ base: BASE, target, writeMode, highWatermark: 0 },
    // No heartbeat falls into a run: the operations of each are the same.
    ...{ heartbeatMs: 600_000, takeOverAfterMs: 1_200_000 },
    ...(mode === 'STREAM' && { stream }),
  };
  const layout = LAYOUTS[target];
  return { name: `${layout} ${writeMode} ${mode}`, layout, mode: `${writeMode} ${mode}`, options };
}

export type CommitCase = ReturnType<typeof commitCase>;

export const COMMIT_CASES: readonly CommitCase[] = (['FILE', 'STREAM'] as const).flatMap((mode) => [
  commitCase(mode, 'folder', 'Append'),
  commitCase(mode, 'folder', 'Overwrite'),
  commitCase(mode, 'partitioned', 'Append'),
  commitCase(mode, 'file', 'Append'),
]);

/** A disk and the offsets topic beside it, at one moment. */
export interface World {
  readonly disk: MemoryDisk;
  readonly topic: TopicState | null;
}

export function emptyWorld(): World {
  const disk = new MemoryDisk();
  disk.makeFolders(BASE);
  return { disk, topic: null };
}

/** A copy of a disk with the topic as it is now. */
export function worldNow({ options }: CommitCase, disk: MemoryDisk): World {
  return { disk: disk.copy(), topic: options.stream ? topicState(options.stream.topic) : null };
}

/** Puts the topic back, and gives a copy of the disk to run on. */
export function enter({ options }: CommitCase, { disk, topic }: World): MemoryDisk {
  if (options.stream) setTopicState(options.stream.topic, topic);
  return disk.copy();
}

/** Nobody else is at work, so whoever waits for a sign of life need not wait long. */
export const QUICK_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, options) => {
    await (options?.idle ? systemClock.sleep(ms, options) : setImmediate());
  },
};

/** One run up to an offset. */
export function loadOn(
  fs: FileSystem,
  { options }: CommitCase,
  highWatermark: number,
  onStep: (name: string) => void = () => {},
): Promise<LoadResult> {
  const reader = options.stream ? { reader: readMemoryTopic } : {};
  return load({ ...options, highWatermark }, { fs, clock: QUICK_CLOCK, onStep, ...reader });
}

/** The world after a run up to offset 4. */
export async function afterFirstRun(commitCase: CommitCase): Promise<World> {
  const disk = enter(commitCase, emptyWorld());
  expect(await loadOn(disk, commitCase, 4)).toMatchObject({ outcome: 'ok' });
  return worldNow(commitCase, disk);
}

/** The world after that and a run up to 6 that died when it was prepared. */
export async function afterPrepare(commitCase: CommitCase): Promise<World> {
  const disk = enter(commitCase, await afterFirstRun(commitCase));
  const die = (name: string): void => {
    if (name === 'prepare.after') throw new Error('died');
  };
  await expect(loadOn(disk, commitCase, 6, die)).rejects.toThrow('died');
  return worldNow(commitCase, disk);
}

/** What a run leaves in the target at any moment: rows of whole files, an exact file always there. */
async function checkVisible({ options }: CommitCase, fs: FileSystem, had: number, what: string): Promise<void> {
  if (options.target !== 'file') return;
  const found = await visibleRows(options, fs);
  const known = [had, 4, 6, 8].filter((end) => end >= had).map((end) => expectedRows(0, end));
  expect(known, what).toContainEqual(found);
}

/**
 * Runs twice more and judges: every offset below the saved one once, manifests whole, nothing left over.
 *
 * @param had Offset saved before the run that met with the fault; it went to 6.
 * @returns Rows compared.
 */
export async function judge(
  test: CommitCase,
  disk: MemoryDisk,
  { had, what }: { readonly had: number; readonly what: string },
): Promise<number> {
  const { options } = test;
  await checkVisible(test, disk, had, what);
  const next = await loadOn(disk, test, 8);
  expect(next, what).toMatchObject({ outcome: 'ok' });
  const found = await visibleRows(options, disk);
  // An Overwrite run leaves what is new to it, which is less if the one before it was finished.
  const starts = options.writeMode === 'Overwrite' ? [had, 6] : [0];
  expect(
    starts.map((start) => expectedRows(start, 8)),
    what,
  ).toContainEqual(found);
  const reader = options.stream ? { reader: readMemoryTopic } : {};
  const offsets = offsetsSettings(options);
  const saved = await readSavedState({ config: CONFIG, topics: [TOPIC], offsets, fs: disk, ...reader });
  expect(
    saved.offsets.map(({ offset }) => offset),
    what,
  ).toEqual([8, 8]);
  await checkManifests(disk, saved.previousRun, what);
  expect(await loadOn(disk, test, 8), what).toMatchObject({ outcome: 'ok', rows: 0, recovered: [] });
  await checkLeftovers(test, disk, what);
  return found.length;
}

/** From the last run to the first, each manifest is there, whole, and names the one before it. */
async function checkManifests(
  disk: MemoryDisk,
  last: { readonly run: string; readonly manifestCrc32c: number } | null,
  what: string,
): Promise<void> {
  const { crc32c } = await import('@node-rs/crc32');
  const folder = `${folders(BASE).root}/_kafkaload/manifests/${CONFIG}`;
  for (let previous = last; previous; ) {
    const bytes = await disk.readFile(`${folder}/${previous.run}.json`);
    expect(crc32c(bytes), `${what}: manifest ${previous.run}`).toBe(previous.manifestCrc32c);
    previous = JSON.parse(bytes.toString('utf8')).previousRun;
  }
}

async function checkLeftovers({ options }: CommitCase, disk: MemoryDisk, what: string): Promise<void> {
  const staged = await stagedRuns(options, disk);
  if (!options.stream) {
    expect(staged, what).toEqual([]);
    expect(await stateKinds(options, disk), what).toEqual(['done']);
    return;
  }
  // Of a run that ended between making its staging folder and its record: empty, and removed an hour later.
  const staging = `${folders(BASE).root}/_kafkaload/staging`;
  for (const place of staged.length > 0 ? await disk.readdir(staging) : []) {
    for (const run of staged) expect(await disk.readdir(`${staging}/${place}/${run}`), what).toEqual([]);
  }
  expect(staged.length, what).toBeLessThanOrEqual(1);
}
