/**
 * What the offsets topic says of a config (STREAM mode). Keys:
 *
 *     CONFIG/PARTITION           next offset, decimal text; several topics: CONFIG/TOPIC/PARTITION
 *     _kafkaload.run/CONFIG      the open run, rewritten as its heartbeat
 *     _kafkaload.intent/CONFIG   the intent record of a prepared run
 *     _kafkaload.state/CONFIG    topics, topic ids and manifest of the last commit
 *
 * The last record of a key counts, null is a tombstone. A key can be in several partitions, when the topic was given
 * more: then the newest timestamp counts.
 */
import { OffloadError } from '../errors.ts';
import { type IntentRecord, lastManifest, parseIntentRecord } from './intent.ts';
import { type Owner, parseOwner } from './owner.ts';
import { offsetKey, parseCount, type SavedOffset, type SavedOffsets, soleTopic, sortOffsets } from './savedOffsets.ts';
import type { SavedState } from './types.ts';

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/**
 * Reads a topic under `read_committed` up to the high watermark of now, never only to the last stable offset: another
 * config's open transaction is waited for. Null if there is no such topic.
 */
export type TopicReader = (
  topic: string,
  options: { readonly waitForStableMs: number },
) => Promise<readonly TopicRecord[] | null>;

/** For a command that only looks: a transaction of ours takes a few milliseconds. */
export const STABLE_WAIT_LOOKING_MS = 3_000;

/** A run whose staging folder is to be removed. */
export interface Leftover {
  readonly run: string;
  readonly stagingPath: string;
}

export interface RunRecord {
  /** Null if the record cannot be read: then only watching tells whether its run is alive. */
  readonly owner: Owner | null;
  /** Runs this one took over, whose staging it has not removed yet. */
  readonly takenOver: readonly Leftover[];
  /** Place of the record: another one with each heartbeat. */
  readonly mark: string;
}

export interface StreamState {
  readonly exists: boolean;
  readonly state: SavedState;
  readonly offsets: SavedOffsets;
  /** Offset by record key, as it stands: to write no more than what changes. */
  readonly stored: ReadonlyMap<string, number>;
  readonly topicsBefore: readonly string[];
  readonly run: RunRecord | null;
  readonly intent: IntentRecord | null;
  /** The text of an intent that cannot be read; null if there is none. */
  readonly damagedIntent: string | null;
  /** Partitions in which a key has a value: a tombstone goes to each, or compaction would bring an old value back. */
  readonly places: ReadonlyMap<string, readonly number[]>;
}

export function stateKeys(config: string): { run: string; intent: string; state: string } {
  return {
    run: `_kafkaload.run/${config}`,
    intent: `_kafkaload.intent/${config}`,
    state: `_kafkaload.state/${config}`,
  };
}

/** Record key of a saved offset, in the form for this number of topics. */
export function recordKey(config: string, entry: SavedOffset, topics: readonly string[]): string {
  return topics.length === 1 ? `${config}/${entry.partition}` : `${config}/${entry.topic}/${entry.partition}`;
}

/** @throws OffloadError SAVED_OFFSETS_INVALID, BROKER_TIMEOUT and other errors of the reader. */
export async function readStreamState(
  reader: TopicReader,
  from: {
    readonly topic: string;
    readonly config: string;
    readonly topics: readonly string[];
    readonly waitForStableMs: number;
  },
): Promise<StreamState> {
  const { topic, config, topics, waitForStableMs } = from;
  const records = await reader(topic, { waitForStableMs });
  const { latest, places } = latestOfKeys(records ?? [], config);
  const keys = stateKeys(config);
  const text = (key: string): string | null => latest.get(key)?.value?.toString('utf8') ?? null;
  const last = parseState(text(keys.state));
  const topicsBefore = last?.topics ?? [];
  const { offsets, stored } = collectOffsets(latest, { topic, config, topics, topicsBefore });
  const intentText = text(keys.intent);
  const intent = intentText === null ? null : parseIntentRecord(intentText);
  return {
    exists: records !== null,
    state: {
      offsets: sortOffsets(offsets).filter((entry) => topics.includes(entry.topic)),
      topicIds: last?.topicIds ?? {},
      previousRun: last?.previousRun ?? null,
    },
    offsets,
    stored,
    topicsBefore,
    run: parseRunRecord(latest.get(keys.run)),
    intent,
    damagedIntent: intent ? null : intentText,
    places,
  };
}

function latestOfKeys(
  records: readonly TopicRecord[],
  config: string,
): { latest: Map<string, TopicRecord>; places: Map<string, number[]> } {
  const own = new Set(Object.values(stateKeys(config)));
  const byKey = new Map<string, Map<number, TopicRecord>>();
  for (const record of records) {
    const key = record.key?.toString('utf8');
    if (key === undefined || !(own.has(key) || key.startsWith(`${config}/`))) continue;
    const partitions = byKey.get(key) ?? new Map<number, TopicRecord>();
    byKey.set(key, partitions);
    const known = partitions.get(record.partition);
    if (!known || isNewer(record, known)) partitions.set(record.partition, record);
  }
  const latest = new Map<string, TopicRecord>();
  const places = new Map<string, number[]>();
  for (const [key, partitions] of byKey) {
    for (const record of partitions.values()) {
      const known = latest.get(key);
      if (!known || isNewer(record, known)) latest.set(key, record);
    }
    const valued = [...partitions.values()].filter(({ value }) => value !== null);
    places.set(
      key,
      valued.map(({ partition }) => partition),
    );
  }
  return { latest, places };
}

/** Within a partition the log says which is later; clocks of two hosts are compared only across partitions. */
function isNewer(a: TopicRecord, b: TopicRecord): boolean {
  if (a.partition === b.partition) return a.offset > b.offset;
  if (a.timestampMs !== b.timestampMs) return a.timestampMs > b.timestampMs;
  return a.partition > b.partition;
}

function collectOffsets(
  latest: ReadonlyMap<string, TopicRecord>,
  about: { topic: string; config: string; topics: readonly string[]; topicsBefore: readonly string[] },
): { offsets: Map<string, SavedOffset>; stored: Map<string, number> } {
  const { topic: offsetsTopic, config, topics, topicsBefore } = about;
  const offsets = new Map<string, SavedOffset>();
  const stored = new Map<string, number>();
  const sources = new Map<string, TopicRecord>();
  for (const [key, record] of latest) {
    if (record.value === null || !key.startsWith(`${config}/`)) continue;
    const parts = key.slice(config.length + 1).split('/');
    const partition = parseCount(parts.at(-1) ?? '');
    if (partition === null || parts.length > 2) continue;
    const topic = parts.length === 2 ? parts[0] : soleTopic({ topics, topicsBefore });
    const value = record.value.toString('utf8');
    const offset = parseCount(value);
    if (topic === undefined || topic === '') continue;
    // Of the time when the config had one topic; taken over since, if the topics of the last commit are known.
    if (topic === null && topicsBefore.length > 0) continue;
    if (topic === null || offset === null) {
      const why = topic === null ? `does not say which topic it is for (${topics.join(', ')})` : 'is not a number';
      throw new OffloadError(
        'SAVED_OFFSETS_INVALID',
        `topic ${offsetsTopic}, key ${key}: "${value}" ${why}; write the right offset, or a tombstone`,
        { context: { topic: offsetsTopic, key, partition: record.partition, offset: record.offset, value } },
      );
    }
    stored.set(key, offset);
    const entry = { topic, partition, offset };
    const known = sources.get(offsetKey(entry));
    if (known && !isNewer(record, known)) continue;
    sources.set(offsetKey(entry), record);
    offsets.set(offsetKey(entry), entry);
  }
  return { offsets, stored };
}

export function formatRunRecord(owner: Owner, takenOver: readonly Leftover[]): string {
  return JSON.stringify({ version: 1, ...owner, takenOver });
}

function parseRunRecord(record: TopicRecord | undefined): RunRecord | null {
  if (!record?.value) return null;
  const value = parseJson(record.value.toString('utf8'));
  const owner = parseOwner(value);
  const named = (value as { takenOver?: unknown } | null)?.takenOver;
  const takenOver = (Array.isArray(named) ? named : []).filter(
    (entry): entry is Leftover => typeof entry?.run === 'string' && typeof entry?.stagingPath === 'string',
  );
  return { owner, takenOver, mark: `${record.partition}/${record.offset}` };
}

interface LastCommit {
  readonly topics: readonly string[];
  readonly topicIds: Readonly<Record<string, string>>;
  readonly previousRun: { readonly run: string; readonly manifestCrc32c: number } | null;
}

export function formatLastCommit(record: IntentRecord): string {
  const { topics, topicIds } = record;
  return JSON.stringify({ version: 1, topics, topicIds, previousRun: lastManifest(record) });
}

/**
 * Keys of saved offsets that have a value and are not those of `offsets`: what is to be forgotten when these replace
 * what is saved. Keys of topics the config does not read are among them only if nothing is to stay.
 */
export function keysToForget(
  { places }: Pick<StreamState, 'places'>,
  about: { readonly config: string; readonly topics: readonly string[] },
  offsets: readonly SavedOffset[],
): string[] {
  const { config, topics } = about;
  const kept = new Set(offsets.map((entry) => recordKey(config, entry, topics)));
  return [...places].flatMap(([key, partitions]) => {
    const parts = key.startsWith(`${config}/`) ? key.slice(config.length + 1).split('/') : [];
    const [topic] = parts.length === 2 ? parts : [];
    const isOffset = parts.length <= 2 && parseCount(parts.at(-1) ?? '') !== null;
    const isOther = topic !== undefined && !topics.includes(topic) && offsets.length > 0;
    return isOffset && partitions.length > 0 && !isOther && !kept.has(key) ? [key] : [];
  });
}

function parseState(text: string | null): LastCommit | null {
  const value = parseJson(text) as Partial<LastCommit> | null;
  if (typeof value !== 'object' || value === null) return null;
  const { topics, topicIds, previousRun } = value;
  return { topics: topics ?? [], topicIds: topicIds ?? {}, previousRun: previousRun ?? null };
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
