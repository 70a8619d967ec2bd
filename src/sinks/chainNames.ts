/** Names below `ROOT/_kafkaload/streams/`, where streams keep their chains (stream/chain/). */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Holds a folder for each group. */
export function streamsFolder(root: string): string {
  return join(root, '_kafkaload', 'streams');
}

/** Characters of an encoded group id that still make a file name with all that may be put before or behind it. */
const LONGEST_NAME = 150;
const SHOWN_OF_LONG = 100;

/**
 * A group id, which may hold any character, as a name of a folder: letters, digits, `.`, `_` and `-` stay, every other
 * byte becomes `%XX`, as does a dot in front. Of one that gets too long, the beginning and a hash: no other has a `~`.
 */
export function groupFolderName(group: string): string {
  const bytes = Buffer.from(group);
  const encoded = Array.from(bytes, (byte, index) => {
    const character = String.fromCharCode(byte);
    const isPlain = /[A-Za-z0-9._-]/.test(character) && !(index === 0 && character === '.');
    return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
  if (encoded.length <= LONGEST_NAME) return encoded;
  return `${encoded.slice(0, SHOWN_OF_LONG)}~${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Where the chain of a group stands. */
export function chainFolder(root: string, group: string): string {
  return join(streamsFolder(root), groupFolderName(group));
}

/** Name of an entry in a folder of its own, where there are no hard links. */
export const ENTRY_IN_FOLDER = 'entry.json';

const ENTRY_NAME = /^([1-9]\d{0,14})\.json$/;
const CHECKPOINT_NAME = /^checkpoint\.([1-9]\d{0,14})\.json$/;
const PACK_NAME = /^([1-9]\d{0,14})-([1-9]\d{0,14})\.jsonl\.gz$/;

export function entryName(number: number): string {
  return `${number}.json`;
}

/** Null: it is none. */
export function parseEntryName(name: string): number | null {
  const [, number] = ENTRY_NAME.exec(name) ?? [];
  return number === undefined ? null : Number(number);
}

export function checkpointName(number: number): string {
  return `checkpoint.${number}.json`;
}

/** Null: it is none. */
export function parseCheckpointName(name: string): number | null {
  const [, number] = CHECKPOINT_NAME.exec(name) ?? [];
  return number === undefined ? null : Number(number);
}

/** Folder of the packs, beside the entries: so that the list of entries stays short. */
export const PACKS_FOLDER = 'folded';

/** Entries of a range of numbers, both among them. */
export interface PackRange {
  readonly first: number;
  readonly last: number;
}

export function packName({ first, last }: PackRange): string {
  return `${first}-${last}.jsonl.gz`;
}

/** Null: it is none. */
export function parsePackName(name: string): PackRange | null {
  const [, first, last] = PACK_NAME.exec(name) ?? [];
  if (first === undefined || last === undefined || Number(first) > Number(last)) return null;
  return { first: Number(first), last: Number(last) };
}
