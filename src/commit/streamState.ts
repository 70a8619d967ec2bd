/**
 * What the offsets topic says of a config (STREAM mode; keys in streamRecords.ts). The last record of a key counts, null
 * is a tombstone. A key can be in several partitions, when the topic was given more: then the newest timestamp counts.
 */
import { OffloadError } from '../errors.ts';
import { offsetKey } from '../plan/places.ts';
import { type IntentRecord, parseIntentRecord } from './intent.ts';
import {
  parseCount,
  parsePartition,
  type SavedOffset,
  type SavedOffsets,
  splitOffsets,
  type TopicsInUse,
  type TopicsOverTime,
  topicOfPlain,
} from './savedOffsets.ts';
import { inOneLine } from './shapes.ts';
import { parseLastCommit, parseRunRecord, type RunRecord, stateKeys, type TopicRecord } from './streamRecords.ts';
import type { SavedState } from './types.ts';

/**
 * Reads a topic under `read_committed` up to the high watermark of now, never only to the last stable offset: another
 * config's open transaction is waited for. Null if there is no such topic.
 */
export type TopicReader = (
  topic: string,
  options: { readonly waitForStableMs: number },
) => Promise<readonly TopicRecord[] | null>;

/** For a command that only looks: a transaction of ours takes a few milliseconds, and some seconds on a broker that is overloaded. */
export const STABLE_WAIT_LOOKING_MS = 10_000;

export interface StreamState {
  readonly exists: boolean;
  readonly state: SavedState;
  readonly offsets: SavedOffsets;
  /** Offset by record key, as it stands: to write no more than what changes. */
  readonly stored: ReadonlyMap<string, number>;
  /** Record keys that hold a saved offset, by `offsetKey`: two where one topic became several, or several one. */
  readonly keysOf: ReadonlyMap<string, readonly string[]>;
  readonly run: RunRecord | null;
  readonly intent: IntentRecord | null;
  /** The text of an intent that cannot be read; null if there is none. */
  readonly damagedIntent: string | null;
  /** Partitions in which a key has a value: a tombstone goes to each, or compaction would bring an old value back. */
  readonly places: ReadonlyMap<string, readonly number[]>;
}

/** @throws OffloadError SAVED_OFFSETS_INVALID, BROKER_TIMEOUT and other errors of the reader. */
export async function readStreamState(
  reader: TopicReader,
  from: TopicsInUse & {
    readonly topic: string;
    readonly config: string;
    readonly waitForStableMs: number;
  },
): Promise<StreamState> {
  const { topic, config, topics, plainTopic, waitForStableMs } = from;
  const records = await reader(topic, { waitForStableMs });
  const { latest, places } = latestOfKeys(records ?? [], config);
  const keys = stateKeys(config);
  const text = (key: string): string | null => latest.get(key)?.value?.toString('utf8') ?? null;
  const last = parseLastCommit(text(keys.state));
  const { offsets, stored, keysOf } = collectOffsets(latest, { topic, config, topics, plainTopic, before: last });
  const intentText = text(keys.intent);
  const intent = intentText === null ? null : parseIntentRecord(intentText);
  return {
    exists: records !== null,
    state: {
      ...splitOffsets(offsets, topics),
      topicIds: last?.topicIds ?? {},
      previousRun: last?.previousRun ?? null,
    },
    offsets,
    stored,
    keysOf,
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
  about: TopicsOverTime & { readonly topic: string; readonly config: string },
): { offsets: Map<string, SavedOffset>; stored: Map<string, number>; keysOf: Map<string, string[]> } {
  const { topic: offsetsTopic, config, topics, before } = about;
  const offsets = new Map<string, SavedOffset>();
  const stored = new Map<string, number>();
  const keysOf = new Map<string, string[]>();
  const sources = new Map<string, TopicRecord>();
  for (const [key, record] of latest) {
    if (record.value === null || !key.startsWith(`${config}/`)) continue;
    const parts = key.slice(config.length + 1).split('/');
    const partition = parsePartition(parts.at(-1) ?? '');
    if (partition === null || parts.length > 2) continue;
    const topic = parts.length === 2 ? parts[0] : topicOfPlain(about);
    const value = record.value.toString('utf8');
    const offset = parseCount(value);
    if (topic === undefined || topic === '') continue;
    // Of the time when the config had one topic; taken over since, if the topics of the last commit are known.
    if (topic === null && before !== null) continue;
    if (topic === null || offset === null) {
      const why = topic === null ? `does not say which topic it is for (${topics.join(', ')})` : 'is not a number';
      throw new OffloadError(
        'SAVED_OFFSETS_INVALID',
        `topic ${offsetsTopic}, key ${key}: "${inOneLine(value)}" ${why}; write the right offset, or a tombstone`,
        {
          context: {
            topic: offsetsTopic,
            key,
            partition: record.partition,
            offset: record.offset,
            value: inOneLine(value),
          },
        },
      );
    }
    stored.set(key, offset);
    const entry = { topic, partition, offset };
    keysOf.set(offsetKey(entry), [...(keysOf.get(offsetKey(entry)) ?? []), key]);
    const known = sources.get(offsetKey(entry));
    if (known && !isNewer(record, known)) continue;
    sources.set(offsetKey(entry), record);
    offsets.set(offsetKey(entry), entry);
  }
  return { offsets, stored, keysOf };
}
