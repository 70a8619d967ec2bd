/**
 * Checks of what JSON holds that anybody may have written: records of the offsets topic, files of state, manifests. What
 * passes has the types that it is used with; everything else is told as damage, where it was read.
 */
import type { FileState, SavedState } from './types.ts';

/** Of a text that cannot be read, so much is shown. */
const SHOWN_CHARACTERS = 100;

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Offsets, sizes, checksums. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isCountOrNull(value: unknown): value is number | null {
  return value === null || isCount(value);
}

/** Kafka numbers partitions by Int32. */
export function isPartition(value: unknown): value is number {
  return isCount(value) && value <= 0x7fff_ffff;
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Topic ids by topic. */
export function isTextByName(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && isTexts(Object.values(value));
}

export function isFileState(value: unknown): value is FileState {
  return isObject(value) && isCount(value.bytes) && isCount(value.crc32c);
}

export function isPreviousRun(value: unknown): value is SavedState['previousRun'] {
  if (value === null) return true;
  if (!isObject(value) || typeof value.run !== 'string' || !isCount(value.manifestCrc32c)) return false;
  return typeof (value.root ?? '') === 'string';
}

/** What a JSON text holds; undefined for one that is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text that was found, for a message of one line. */
export function inOneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}...` : line;
}
