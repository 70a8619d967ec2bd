/**
 * Saved offsets, by topic and partition, and the two texts other tools read and write:
 *
 * - FILE: a YAML list, one line `- "PARTITION,OFFSET"` each; several topics: `- "TOPIC,PARTITION,OFFSET"`.
 * - STREAM: record keys `CONFIG/PARTITION`, several topics: `CONFIG/TOPIC/PARTITION`; the value is decimal text.
 */
import { isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { OffloadError } from '../errors.ts';
import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { PartitionOffset } from '../tasks.ts';
import type { IntentRecord } from './intent.ts';
import { inOneLine, isPartition } from './shapes.ts';

/** A saved offset: the next one to read. */
export interface SavedOffset extends PartitionOffset {
  readonly offset: number;
}

/** By `offsetKey`. */
export type SavedOffsets = ReadonlyMap<string, SavedOffset>;

/** Which topics a config reads, and how its entries are written. */
export interface TopicsInUse {
  /** Topics the config reads now. */
  readonly topics: readonly string[];
  /** The topic whose entries do not name it: the only one the config can read. Null: every entry names its topic. */
  readonly plainTopic: string | null;
}

/** What tells the topic of an entry that names none. */
export interface TopicsOverTime extends TopicsInUse {
  /** The same at the last commit; null where that is not known. */
  readonly before: TopicsInUse | null;
}

/** In topic, then partition order. */
export function sortOffsets(saved: SavedOffsets): SavedOffset[] {
  return [...saved.values()].sort(comparePlaces);
}

/** Those of the topics a config reads, and all others. */
export function splitOffsets(
  saved: SavedOffsets,
  topics: readonly string[],
): { readonly offsets: SavedOffset[]; readonly others: SavedOffset[] } {
  const sorted = sortOffsets(saved);
  return {
    offsets: sorted.filter(({ topic }) => topics.includes(topic)),
    others: sorted.filter(({ topic }) => !topics.includes(topic)),
  };
}

/**
 * The topic of an entry without one: what it was at the last commit; else, written by hand or by another tool, the only
 * topic there is. Null if it cannot be told: a guess would skip messages of another topic.
 */
export function topicOfPlain({ plainTopic, before }: TopicsOverTime): string | null {
  const [only, ...more] = before?.topics ?? [];
  return before?.plainTopic ?? plainTopic ?? (more.length === 0 ? (only ?? null) : null);
}

/**
 * Reads the file `CONFIG`. Entries of topics the config does not read any more are kept.
 *
 * @throws OffloadError SAVED_OFFSETS_INVALID naming file, line and text.
 */
export function parseOffsetsFile(path: string, text: string, use: TopicsOverTime): Map<string, SavedOffset> {
  const lines = new LineCounter();
  const fail = (line: number, text: string, why: string): never => {
    const entry = inOneLine(text);
    throw new OffloadError('SAVED_OFFSETS_INVALID', `${path}, line ${line}: "${entry}" ${why}; correct or remove it`, {
      context: { path, line, entry },
    });
  };
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { lineCounter: lines });
  } catch {
    // Brackets in brackets, thousands of them, exhaust the stack of the YAML reader.
    return fail(1, lineOf(text, 1), 'is not valid YAML');
  }
  const problem = document.errors[0];
  if (problem) {
    // A quote that is never closed is noticed at the end of the text: the last line that holds anything is meant.
    let line = problem.linePos?.[0].line ?? 1;
    while (line > 1 && lineOf(text, line) === '') line -= 1;
    fail(line, lineOf(text, line), 'is not valid YAML');
  }
  const saved = new Map<string, SavedOffset>();
  const list = document.contents;
  if (list === null || (isScalar(list) && list.value === null)) return saved;
  if (!isSeq(list)) return fail(1, lineOf(text, 1), 'does not begin a list of "PARTITION,OFFSET"');
  for (const item of list.items) {
    const line = isScalar(item) && item.range ? lines.linePos(item.range[0]).line : 1;
    const entry = isScalar(item) ? (item.source ?? String(item.value)) : lineOf(text, line);
    const parts = entry.split(',').map((part) => part.trim());
    const topic = parts.length === 2 ? topicOfPlain(use) : parts.length === 3 ? (parts[0] ?? '') : undefined;
    const partition = parsePartition(parts.at(-2) ?? '');
    const offset = parseCount(parts.at(-1) ?? '');
    if (topic === undefined || topic === '' || partition === null || offset === null) {
      return fail(line, entry, 'is not "PARTITION,OFFSET" with two numbers');
    }
    if (topic === null) return fail(line, entry, `does not say which topic it is for (${use.topics.join(', ')})`);
    const key = offsetKey({ topic, partition });
    if (saved.has(key)) fail(line, entry, 'is a second entry for its partition');
    saved.set(key, { topic, partition, offset });
  }
  return saved;
}

/** The file `CONFIG`, to the byte. Entries of topics that are not read any more stay, and name their topic. */
export function formatOffsetsFile(saved: SavedOffsets, { plainTopic }: Pick<TopicsInUse, 'plainTopic'>): string {
  if (saved.size === 0) return '[]\n';
  const text = ({ topic, partition, offset }: SavedOffset): string =>
    topic === plainTopic ? `${partition},${offset}` : `${topic},${partition},${offset}`;
  return sortOffsets(saved)
    .map((entry) => `- "${text(entry)}"\n`)
    .join('');
}

/** Decimal digits only, and exact as a number; null for anything else. */
export function parseCount(text: string): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : null;
}

/** The same for the number of a partition. */
export function parsePartition(text: string): number | null {
  const value = parseCount(text);
  return isPartition(value) ? value : null;
}

/**
 * What is saved once the intent is committed; an offset that moves to null is forgotten. An offset that is neither what
 * the run began from nor what it moves to was set by hand meanwhile: it stays, with a warning; so does an entry that was
 * removed.
 */
export function mergeOffsets(
  saved: SavedOffsets,
  record: Pick<IntentRecord, 'run' | 'previous' | 'next'>,
): { readonly offsets: Map<string, SavedOffset>; readonly warnings: string[] } {
  const offsets = new Map(saved);
  const warnings: string[] = [];
  record.next.forEach((entry, index) => {
    const key = offsetKey(entry);
    const now = saved.get(key)?.offset ?? null;
    const before = record.previous[index]?.offset ?? null;
    const { topic, partition, offset } = entry;
    if (now === offset) return;
    if (now === before) {
      if (offset === null) offsets.delete(key);
      else offsets.set(key, { topic, partition, offset });
    } else {
      warnings.push(
        `the saved offset of ${key} is ${now ?? 'absent'}, neither ${before ?? 'absent'} nor ${offset ?? 'absent'} as run ` +
          `${record.run} left it: it was set by hand and stays`,
      );
    }
  });
  return { offsets, warnings };
}

function lineOf(text: string, line: number): string {
  return (text.split('\n')[line - 1] ?? '').trim();
}
