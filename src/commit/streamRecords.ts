/**
 * Keys and values of the offsets topic (STREAM mode):
 *
 *     CONFIG/PARTITION           next offset, decimal text; several topics: CONFIG/TOPIC/PARTITION
 *     _kafkaload.run/CONFIG      the open run, rewritten as its heartbeat
 *     _kafkaload.intent/CONFIG   the intent record of a prepared run
 *     _kafkaload.state/CONFIG    topics, topic ids and manifest of the last commit
 */
import { type IntentRecord, lastManifest } from './intent.ts';
import { type Owner, parseOwner } from './owner.ts';
import { parsePartition, type SavedOffset, type SavedOffsets, type TopicsInUse } from './savedOffsets.ts';
import { isObject, isPreviousRun, isTextByName, isTexts, parseJson } from './shapes.ts';
import type { SavedState } from './types.ts';

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export function stateKeys(config: string): { run: string; intent: string; state: string } {
  return {
    run: `_kafkaload.run/${config}`,
    intent: `_kafkaload.intent/${config}`,
    state: `_kafkaload.state/${config}`,
  };
}

/** Record key of a saved offset. */
export function recordKey(
  config: string,
  { topic, partition }: SavedOffset,
  { plainTopic }: Pick<TopicsInUse, 'plainTopic'>,
): string {
  return topic === plainTopic ? `${config}/${partition}` : `${config}/${topic}/${partition}`;
}

/**
 * Keys of these offsets in the form they had when the config read one topic, or several: to be forgotten once they are
 * written in the other, or an old value would come to life again when the config changes back.
 */
export function outdatedKeys(
  { keysOf }: { readonly keysOf: ReadonlyMap<string, readonly string[]> },
  config: string,
  offsets: SavedOffsets,
  form: Pick<TopicsInUse, 'plainTopic'>,
): string[] {
  return [...offsets].flatMap(([place, entry]) => {
    return (keysOf.get(place) ?? []).filter((key) => key !== recordKey(config, entry, form));
  });
}

/** Keys of saved offsets that have a value and are not those of `offsets`, which are all that is to be saved. */
export function keysToForget(
  { places }: { readonly places: ReadonlyMap<string, readonly number[]> },
  config: string,
  offsets: SavedOffsets,
  form: Pick<TopicsInUse, 'plainTopic'>,
): string[] {
  const kept = new Set([...offsets.values()].map((entry) => recordKey(config, entry, form)));
  return [...places].flatMap(([key, partitions]) => {
    const parts = key.startsWith(`${config}/`) ? key.slice(config.length + 1).split('/') : [];
    const isOffset = parts.length <= 2 && parsePartition(parts.at(-1) ?? '') !== null;
    return isOffset && partitions.length > 0 && !kept.has(key) ? [key] : [];
  });
}

/** A run whose staging folder is to be removed. */
export interface Leftover {
  readonly run: string;
  readonly stagingPath: string;
  /** True: its ranges were given back, so its manifest goes as well. */
  readonly withdrawn?: boolean;
}

export interface RunRecord {
  /** Null if the record cannot be read: then only watching tells whether its run is alive. */
  readonly owner: Owner | null;
  /** Runs this one took over, whose staging it has not removed yet. */
  readonly takenOver: readonly Leftover[];
  /** Place of the record: another one with each heartbeat. */
  readonly mark: string;
}

export function formatRunRecord(owner: Owner, takenOver: readonly Leftover[]): string {
  return JSON.stringify({ version: 1, ...owner, takenOver });
}

export function parseRunRecord(record: TopicRecord | undefined): RunRecord | null {
  if (!record?.value) return null;
  const value = parseJson(record.value.toString('utf8'));
  const owner = parseOwner(value);
  const named = (value as { takenOver?: unknown } | null)?.takenOver;
  const takenOver = (Array.isArray(named) ? named : []).filter(
    (entry): entry is Leftover => typeof entry?.run === 'string' && typeof entry?.stagingPath === 'string',
  );
  return { owner, takenOver, mark: `${record.partition}/${record.offset}` };
}

interface LastCommit extends TopicsInUse {
  readonly topicIds: Readonly<Record<string, string>>;
  readonly previousRun: SavedState['previousRun'];
}

export function formatLastCommit(record: IntentRecord): string {
  const { topics, plainTopic, topicIds } = record;
  return JSON.stringify({ version: 1, topics, plainTopic, topicIds, previousRun: lastManifest(record) });
}

/** Null for what is no record of a commit: nothing is known of the last one then. */
export function parseLastCommit(text: string | null): LastCommit | null {
  const value = text === null ? null : parseJson(text);
  if (!isObject(value)) return null;
  const { topics = [], topicIds = {}, previousRun = null } = value;
  if (!isTexts(topics) || !isTextByName(topicIds) || !isPreviousRun(previousRun)) return null;
  // A record that says nothing of it is of a version that read one topic by one config.
  const plainTopic = value.plainTopic === undefined && topics.length === 1 ? topics[0] : value.plainTopic;
  return { topics, plainTopic: typeof plainTopic === 'string' ? plainTopic : null, topicIds, previousRun };
}
