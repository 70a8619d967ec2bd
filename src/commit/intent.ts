/**
 * The intent of a run in its two forms: the whole of it, `intent.json` in the staging folder (a list of files can
 * exceed a Kafka message), and the small record that is the point of no return, with the size and CRC-32C of the whole.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { OffloadError } from '../errors.ts';
import { type FileSystem, unlessAbsent } from '../io.ts';
import type { PartitionOffset } from '../tasks.ts';
import { isRunId, isStagingPathOf, NO_STAGING, rootOfStaging } from './names.ts';
import type { Owner } from './owner.ts';
import type { SavedOffsets, TopicsInUse } from './savedOffsets.ts';
import {
  isCount,
  isCountOrNull,
  isFileState,
  isObject,
  isPartition,
  isPreviousRun,
  isTextByName,
  isTexts,
  parseJson,
} from './shapes.ts';
import type { FileState, Intent, IntentDeadLetters, SavedState } from './types.ts';

export const INTENT_FILE = 'intent.json';

/** `topics` and `plainTopic` are those of the run that prepared: whoever finishes it saves in the same form. */
export interface IntentRecord extends TopicsInUse {
  readonly config: string;
  readonly run: string;
  /** Of the run that prepared: its staging is on this host. */
  readonly host: string;
  readonly stagingPath: string;
  readonly previous: readonly PartitionOffset[];
  readonly next: readonly PartitionOffset[];
  readonly intentBytes: number;
  readonly intentCrc32c: number;
  readonly manifestCrc32c: number;
  readonly topicIds: Readonly<Record<string, string>>;
  /** Where it is kept how far the dead letters of the run are; null: it has none. */
  readonly deadLetters: IntentDeadLetters['progress'] | null;
  /** The file that is replaced by one rename; null where new files go to a folder. */
  readonly exactFile: ExactFile | null;
  /**
   * Null for a run that moves rows. Else saved offsets are changed by a person: no staging, no file, no manifest; a
   * `next` of null forgets an offset, and the last manifest stays that of `previousRun`.
   */
  readonly change: { readonly previousRun: SavedState['previousRun'] } | null;
}

/** What tells whether an exact file has been replaced, also when `intent.json` is lost. */
interface ExactFile {
  readonly path: string;
  readonly stagedPath: string;
  readonly old: FileState | null;
  readonly next: FileState;
}

export function encodeIntent(intent: Intent): Buffer {
  return Buffer.from(`${JSON.stringify(intent)}\n`);
}

export function makeIntentRecord(
  intent: Intent,
  encoded: Buffer,
  about: TopicsInUse & { readonly owner: Owner; readonly manifest: Buffer },
): IntentRecord {
  return {
    config: intent.config,
    run: intent.run,
    host: about.owner.host,
    stagingPath: intent.stagingPath,
    previous: intent.previous,
    next: intent.next,
    intentBytes: encoded.byteLength,
    intentCrc32c: crc32c(encoded),
    manifestCrc32c: crc32c(about.manifest),
    topics: about.topics,
    plainTopic: about.plainTopic,
    topicIds: intent.topicIds,
    deadLetters: intent.deadLetters?.progress ?? null,
    exactFile: exactFileOf(intent),
    change: null,
  };
}

function exactFileOf({ target, files }: Intent): ExactFile | null {
  const [file] = files;
  if (target.kind !== 'file' || !file) return null;
  const { stagedPath, bytes, crc32c: checksum } = file;
  return { path: target.path, stagedPath, old: target.old, next: { bytes, crc32c: checksum } };
}

/** The record of a change of saved offsets: what `saved` becomes when everything not in `next` is forgotten. */
export function makeChangeRecord(
  about: TopicsInUse & { readonly config: string; readonly owner: Owner },
  from: { readonly saved: SavedOffsets; readonly previousRun: SavedState['previousRun'] },
  next: { readonly offsets: SavedOffsets; readonly topicIds: Readonly<Record<string, string>> },
): IntentRecord {
  const { config, topics, plainTopic, owner } = about;
  // What is saved of topics the config does not read (any more) goes only if all goes.
  const saved = [...from.saved].filter(([, { topic }]) => next.offsets.size === 0 || topics.includes(topic));
  const places = [...new Map([...saved, ...next.offsets])];
  const at = (offsets: SavedOffsets): PartitionOffset[] =>
    places.map(([key, { topic, partition }]) => ({ topic, partition, offset: offsets.get(key)?.offset ?? null }));
  return {
    config,
    run: owner.run,
    host: owner.host,
    stagingPath: NO_STAGING,
    previous: at(from.saved),
    next: at(next.offsets),
    intentBytes: 0,
    intentCrc32c: 0,
    manifestCrc32c: 0,
    topics,
    plainTopic,
    topicIds: next.topicIds,
    deadLetters: null,
    exactFile: null,
    change: { previousRun: from.previousRun },
  };
}

/** The run whose manifest is the last one, once this record is committed. */
export function lastManifest({ change, run, manifestCrc32c, stagingPath }: IntentRecord): SavedState['previousRun'] {
  return change ? change.previousRun : { run, manifestCrc32c, root: rootOfStaging(stagingPath) };
}

/** One line of JSON. Offsets stand as `{"TOPIC": [[PARTITION, PREVIOUS, NEXT], ...]}`: 10,000 partitions fit a message. */
export function formatIntentRecord(record: IntentRecord): string {
  const { previous, next, ...rest } = record;
  const offsets: Record<string, (number | null)[][]> = {};
  next.forEach((entry, index) => {
    offsets[entry.topic] ??= [];
    offsets[entry.topic]?.push([entry.partition, previous[index]?.offset ?? null, entry.offset]);
  });
  return JSON.stringify({ version: 1, ...rest, offsets });
}

/** Null if the text is no intent record of this version, or any part of it is not what it must be. */
export function parseIntentRecord(text: string): IntentRecord | null {
  const value = parseJson(text);
  if (!isObject(value) || value.version !== 1) return null;
  const { config, run, host, stagingPath, intentBytes, intentCrc32c, manifestCrc32c } = value;
  if (typeof config !== 'string' || typeof run !== 'string' || !isRunId(run)) return null;
  if (typeof host !== 'string' || typeof stagingPath !== 'string') return null;
  if (!isCount(intentBytes) || !isCount(intentCrc32c) || !isCount(manifestCrc32c)) return null;
  const { exactFile = null, change = null, deadLetters = null, topicIds = {} } = value;
  if (!isTopicToCreate(deadLetters)) return null;
  if (!isExactFile(exactFile) || !isChange(change) || !isTextByName(topicIds)) return null;
  const offsets = readOffsets(value.offsets, change !== null);
  if (offsets === null) return null;
  const topics = value.topics ?? Object.keys(value.offsets as object);
  if (!isTexts(topics)) return null;
  const plainTopic = value.plainTopic === undefined && topics.length === 1 ? topics[0] : value.plainTopic;
  return {
    config,
    run,
    host,
    stagingPath,
    ...offsets,
    intentBytes,
    intentCrc32c,
    manifestCrc32c,
    topics,
    plainTopic: typeof plainTopic === 'string' ? plainTopic : null,
    topicIds,
    deadLetters,
    exactFile,
    change,
  };
}

function isExactFile(value: unknown): value is ExactFile | null {
  if (value === null) return true;
  if (!isObject(value) || typeof value.path !== 'string' || typeof value.stagedPath !== 'string') return false;
  return (value.old === null || isFileState(value.old)) && isFileState(value.next);
}

function isTopicToCreate(value: unknown): value is IntentRecord['deadLetters'] {
  if (value === null) return true;
  if (!isObject(value) || typeof value.topic !== 'string' || !isTextByName(value.createOptions)) return false;
  return isCount(value.partitions) && Number.isSafeInteger(value.replicationFactor);
}

function isChange(value: unknown): value is IntentRecord['change'] {
  return value === null || (isObject(value) && isPreviousRun(value.previousRun));
}

/** The inverse of what `formatIntentRecord` makes of offsets; null for anything else. */
function readOffsets(value: unknown, mayForget: boolean): Pick<IntentRecord, 'previous' | 'next'> | null {
  if (!isObject(value)) return null;
  const previous: PartitionOffset[] = [];
  const next: PartitionOffset[] = [];
  for (const [topic, entries] of Object.entries(value)) {
    if (!Array.isArray(entries)) return null;
    for (const entry of entries) {
      if (!Array.isArray(entry)) return null;
      const [partition, from, to] = entry as unknown[];
      if (!isPartition(partition) || !isCountOrNull(from)) return null;
      if (!isCountOrNull(to) || (to === null && !mayForget)) return null;
      previous.push({ topic, partition, offset: from });
      next.push({ topic, partition, offset: to });
    }
  }
  return { previous, next };
}

/**
 * The whole intent from its staging folder, or null if that is not there.
 *
 * @throws OffloadError RECOVERY_BLOCKED if `intent.json` is not the one that was prepared.
 */
export async function loadIntent(fs: FileSystem, record: IntentRecord): Promise<Intent | null> {
  const path = join(record.stagingPath, INTENT_FILE);
  if (!isStagingPathOf(record.stagingPath, record.run)) {
    throw blocked(record, `its staging path ${record.stagingPath} is not one that kafkaload makes`);
  }
  const bytes = await unlessAbsent(fs.readFile(path));
  if (!bytes) return null;
  if (bytes.byteLength !== record.intentBytes || crc32c(bytes) !== record.intentCrc32c) {
    const found = `${bytes.byteLength} bytes, CRC-32C ${crc32c(bytes)}`;
    throw blocked(
      record,
      `${path} has ${found} instead of ${record.intentBytes} bytes, CRC-32C ${record.intentCrc32c}`,
    );
  }
  // One that an older version prepared says nothing of the commit, and has one.
  const whole = parseJson(bytes.toString('utf8'));
  const intent = { commit: true, ...(isObject(whole) ? whole : {}) } as Intent;
  if (intent.version !== 1 || intent.run !== record.run || intent.config !== record.config) {
    throw blocked(record, `${path} belongs to run ${intent.run} of config ${intent.config}`);
  }
  return intent;
}

/** A prepared run that cannot be finished from here; nothing was committed. */
export function blocked(record: IntentRecord, why: string): OffloadError {
  return new OffloadError(
    'RECOVERY_BLOCKED',
    `cannot finish run ${record.run} of config ${record.config}, prepared on host ${record.host}: ${why}; ` +
      `nothing was committed; run again where ${record.stagingPath} can be read, or give its ranges back to the next ` +
      `run: kafkaload offsets recover --discard --config ${record.config}`,
    { context: { config: record.config, run: record.run, host: record.host, path: record.stagingPath } },
  );
}
