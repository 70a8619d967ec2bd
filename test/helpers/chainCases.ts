/** Streams over the real chain on a disk in memory (streamProcess.ts), the situations they start in, and their oracle. */
import { expect } from 'vitest';
import { isRunId } from '../../src/commit/names.ts';
import { markEnded } from '../../src/commit/owner.ts';
import { unlessAbsent } from '../../src/io.ts';
import { listVisibleFiles } from '../../src/sinks/localFiles.ts';
import { verify } from '../../src/verify/verify.ts';
import { MemoryDisk } from './memoryDisk.ts';
import { expectedRows, type Group, type ProcessOptions, StreamProcess, visibleRows } from './streamProcess.ts';

const ROOT = '/target';

export interface ChainCase {
  readonly layout: 'folder' | 'exact file';
  readonly file: string | null;
}

export const CHAIN_CASES: readonly ChainCase[] = [
  { layout: 'folder', file: null },
  { layout: 'exact file', file: 'all.txt' },
];

/** A disk, and what the group holds, at one moment. */
export interface ChainWorld {
  readonly disk: MemoryDisk;
  readonly group: Group;
}

export function copyOf({ disk, group }: ChainWorld): ChainWorld {
  return { disk: disk.copy(), group: new Map(group) };
}

type Changed = Partial<Pick<ProcessOptions, 'fs' | 'stagingFs' | 'onStep'>>;

export function optionsOf({ file }: ChainCase, { disk, group }: ChainWorld, changed: Changed = {}): ProcessOptions {
  return { fs: disk, root: ROOT, group, file, foldEntries: 2, ...changed };
}

/** All processes that have a folder there are dead. */
async function endAll({ disk }: ChainWorld): Promise<void> {
  const folder = `${ROOT}/_kafkaload/streams/nightly/staging`;
  for (const process of (await unlessAbsent(disk.readdir(folder))) ?? []) markEnded(process);
}

/** Where the stream ends that meets the fault. */
export const FAULT_END = 8;

/** Micro-batches of two messages of each partition up to an end. @param onStart Told before anything else is done. */
export async function stream(
  options: ProcessOptions,
  end: number,
  onStart: (process: StreamProcess) => void = () => {},
): Promise<void> {
  const process = await StreamProcess.start(options, []);
  onStart(process);
  await process.take([0, 1]);
  await goOn(process, end);
  await process.close();
}

/** The rest of a stream that is under way. */
export async function goOn(process: StreamProcess, end: number): Promise<void> {
  for (;;) {
    const due = [...process.positions].filter(([, offset]) => offset < end);
    if (due.length === 0) return;
    await process.write(Object.fromEntries(due.map(([partition, offset]) => [partition, Math.min(end, offset + 2)])));
  }
}

export class Died extends Error {}

/** What there is before the stream that meets the fault. */
export const SITUATIONS: readonly {
  readonly situation: string;
  readonly prepare: (chainCase: ChainCase) => Promise<ChainWorld>;
}[] = [
  { situation: 'the first of a stream', prepare: async () => emptyWorld() },
  {
    situation: 'one that goes on',
    prepare: async (chainCase) => {
      const world = emptyWorld();
      await stream(optionsOf(chainCase, world), 4);
      return world;
    },
  },
  {
    situation: 'one that finishes what another left',
    prepare: async (chainCase) => {
      const world = emptyWorld();
      await stream(optionsOf(chainCase, world), 2);
      const onStep = (name: string): void => {
        if (name === 'chain.synced') throw new Died(name);
      };
      await expect(stream(optionsOf(chainCase, world, { onStep }), 4)).rejects.toThrow(Died);
      await endAll(world);
      return world;
    },
  },
];

function emptyWorld(): ChainWorld {
  const disk = new MemoryDisk();
  disk.makeFolders(ROOT);
  return { disk, group: new Map() };
}

/**
 * All die. Another process takes everything, goes on, and ends; then nothing is lost, doubled, damaged, or left lying about.
 *
 * @returns Rows compared.
 */
export async function judge(chainCase: ChainCase, world: ChainWorld, what: string): Promise<number> {
  const { disk } = world;
  await endAll(world);
  const end = FAULT_END + 2;
  await stream(optionsOf(chainCase, world), end).catch((error: Error) => {
    throw new Error(`${what}: the next process fails: ${error.stack}`);
  });
  const rows = await visibleRows(disk, ROOT);
  expect(rows, what).toEqual(expectedRows({ 0: end, 1: end }));
  expect([...world.group], what).toEqual([
    [0, end],
    [1, end],
  ]);
  const job = { path: ROOT, deep: false, report: 'json', verbose: false, notes: [], saved: null } as const;
  const { findings, remarks } = await verify(job, new AbortController().signal, disk);
  expect({ findings, remarks }, what).toEqual({ findings: [], remarks: [] });
  // One that ended before it could say who it is leaves an empty folder, which goes an hour later.
  const staging = `${ROOT}/_kafkaload/streams/nightly/staging`;
  for (const left of await disk.readdir(staging)) {
    expect((await disk.readdir(`${staging}/${left}`)).filter(isRunId), what).toEqual([]);
  }
  expect((await listVisibleFiles(disk, ROOT)).length, what).toBeGreaterThan(0);
  return rows.length;
}
