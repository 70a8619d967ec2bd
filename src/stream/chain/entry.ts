/** An entry of a chain: one micro-batch that counts, told as well as a manifest tells a run of batch. */
import { crc32c } from '@node-rs/crc32';
import { z } from 'zod';
import { parseJson } from '../../commit/shapes.ts';
import type { Intent, IntentDeadLetters, StagedLetters } from '../../commit/types.ts';
import { offsetKey, type Place } from '../../plan/places.ts';
import { type Manifest, type ManifestFile, manifestFile, manifestTarget, toRelative } from '../../sinks/manifest.ts';
import { count, file, path, place, state, WRITTEN } from '../../sinks/manifestShape.ts';
import { NO_GAPS } from '../../tasks.ts';

/** Offsets `[start, next)` of a partition that an entry accounts for: rows in its files, gaps for all others. */
export interface Move extends Place {
  /** Where the entry before that names the partition ended, or where a person set the group to. */
  readonly start: number;
  readonly next: number;
}

/** A group offset that a person set, and that an entry obeys. */
export interface HandSetting extends Place {
  /** Where the chain would have gone on. */
  readonly chain: number;
  /** Where it goes on. */
  readonly group: number;
}

export interface EntryFile extends ManifestFile {
  /** Where it was staged, relative to the root. */
  readonly staged: string;
}

/** As those of an intent, with paths relative to the root. */
export interface EntryDeadLetters extends Omit<IntentDeadLetters, 'files'> {
  readonly files: readonly (Omit<StagedLetters, 'path'> & { readonly staged: string })[];
}

type Written =
  | 'version'
  | 'config'
  | 'run'
  | 'createdAt'
  | 'writeMode'
  | 'target'
  | 'topicIds'
  | 'content'
  | 'ranges'
  | 'gaps';

/** `run` is that of the micro-batch: each is a run of its own, and its files are named so. */
export interface ChainEntry extends Pick<Manifest, Written> {
  readonly group: string;
  readonly number: number;
  /** CRC-32C of the entry before, all of its bytes; null: this is the first. */
  readonly previousCrc32c: number | null;
  /** Run id of the process, which names its folder in staging. */
  readonly process: string;
  /** Staging folder of the micro-batch, relative to the root. */
  readonly staging: string;
  readonly moves: readonly Move[];
  readonly byHand: readonly HandSetting[];
  readonly files: readonly EntryFile[];
  /** Written to their topic when the files are published; null: there are none. */
  readonly deadLetters: EntryDeadLetters | null;
}

/** An entry as it stands in the folder. */
export interface FoundEntry {
  readonly entry: ChainEntry;
  readonly crc32c: number;
  readonly bytes: Buffer;
}

/** What a micro-batch is made of once its files are staged, complete and synced. */
export type StagedBatch = Pick<
  Intent,
  'target' | 'writeMode' | 'files' | 'content' | 'deadLetters' | 'ranges' | 'gaps' | 'topicIds' | 'createdAtMs'
>;

/** What else stands in an entry. */
export type EntryPlace = Pick<
  ChainEntry,
  'group' | 'config' | 'number' | 'previousCrc32c' | 'process' | 'run' | 'byHand'
> & {
  readonly root: string;
  readonly stagingPath: string;
};

export function makeEntry(staged: StagedBatch, { root, stagingPath, ...about }: EntryPlace): ChainEntry {
  const topics = new Set(staged.ranges.map(({ topic }) => topic));
  return {
    version: 1,
    group: about.group,
    number: about.number,
    previousCrc32c: about.previousCrc32c,
    config: about.config,
    process: about.process,
    run: about.run,
    createdAt: new Date(staged.createdAtMs).toISOString(),
    staging: toRelative(root, stagingPath),
    writeMode: staged.writeMode,
    target: manifestTarget(root, staged.target),
    topicIds: Object.fromEntries(Object.entries(staged.topicIds).filter(([topic]) => topics.has(topic))),
    moves: movesOf(staged),
    byHand: about.byHand,
    content: staged.content ?? null,
    files: staged.files.map((own) => ({ ...manifestFile(root, own), staged: toRelative(root, own.stagedPath) })),
    ranges: staged.ranges,
    gaps: staged.gaps,
    deadLetters: staged.deadLetters ? entryLetters(root, staged.deadLetters) : null,
  };
}

function entryLetters(root: string, { files, ...about }: IntentDeadLetters): EntryDeadLetters {
  return { ...about, files: files.map(({ path: own, ...file }) => ({ ...file, staged: toRelative(root, own) })) };
}

/** Offsets that were deleted before they could be read lie in front of the range. */
export function movesOf({ ranges, gaps }: Pick<StagedBatch, 'ranges' | 'gaps'>): Move[] {
  const gapsOf = new Map(gaps.map((gap) => [offsetKey(gap), gap]));
  return ranges.map(({ topic, partition, startOffset, endOffset }) => {
    const { deleted } = gapsOf.get(offsetKey({ topic, partition })) ?? NO_GAPS;
    return { topic, partition, start: startOffset - deleted, next: endOffset };
  });
}

/** One line, so that many of them make a file. */
export function encodeEntry(entry: ChainEntry): Buffer {
  return Buffer.from(`${JSON.stringify(entry)}\n`);
}

const ENTRY = z.object({
  ...WRITTEN,
  group: z.string(),
  number: z.int().positive(),
  previousCrc32c: count.nullable(),
  process: z.string(),
  staging: path,
  moves: z.array(z.object({ ...place, start: count, next: count })),
  byHand: z.array(z.object({ ...place, chain: count, group: count })),
  files: z.array(file.extend({ staged: path })),
  deadLetters: z
    .object({
      topic: z.string(),
      progress: z.object({
        topic: z.string(),
        partitions: count,
        replicationFactor: z.int(),
        createOptions: z.record(z.string(), z.string()),
      }),
      files: z.array(z.object({ staged: path, records: count, ...state.shape })),
    })
    .nullable()
    // Entries of older versions have none.
    .default(null),
});

/** Null for anything else than the entry of this number of this group; `group` null: of any. */
export function parseEntry(bytes: Buffer, group: string | null, number: number): FoundEntry | null {
  const result = ENTRY.safeParse(parseJson(bytes.toString('utf8')));
  if (!result.success || result.data.number !== number) return null;
  if (group !== null && result.data.group !== group) return null;
  return { entry: result.data as ChainEntry, crc32c: crc32c(bytes), bytes };
}
