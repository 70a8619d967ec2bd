/**
 * How far a load of files is: one record by config, in the transaction of what it speaks of. Its value is JSON:
 *
 *     state       "running" or "done"
 *     run, owner  the run, and the process that writes it (commit/owner.ts)
 *     files       [path, bytes, CRC-32C, run that loaded it before or null] each, in the order in which they are loaded;
 *                 a long list stands as `filesGzip`, gzip in base64
 *     position    file, by its place in the list, and its next row: everything before it is in the topic
 *     rows        in the topic by now; started and ended, in milliseconds since 1970
 *
 * `done` stays, so that the same files are not loaded again.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Owner, parseOwner } from '../../commit/owner.ts';
import { inOneLine, isCount, isCountOrNull, isObject, parseJson } from '../../commit/shapes.ts';
import { OffloadError } from '../../errors.ts';

export interface LoadedFile {
  readonly path: string;
  readonly bytes: number;
  readonly crc32c: number;
  /** The run that has loaded it, for one that is not loaded again; else null. */
  readonly loadedBy: string | null;
}

export interface FilePosition {
  /** Place in the list. */
  readonly file: number;
  readonly row: number;
}

export interface FileProgress {
  readonly state: 'running' | 'done';
  readonly run: string;
  /** Null if it cannot be read: then only watching tells whether the run is alive. */
  readonly owner: Owner | null;
  readonly files: readonly LoadedFile[];
  readonly position: FilePosition;
  readonly rows: number;
  readonly startedAtMs: number;
  /** Null while it runs. */
  readonly endedAtMs: number | null;
}

/** Brokers take 1 MiB (`message.max.bytes`) as they come. */
const MAX_RECORD_BYTES = 900 * 1024;
const MAX_PLAIN_LIST_BYTES = 64 * 1024;
/** Far more than paths that differ a little leave when they are packed into a record. */
const MAX_UNPACKED_BYTES = 256 * 1024 ** 2;

type ListedFile = readonly [path: string, bytes: number, crc32c: number, loadedBy: string | null];

/** The list of files does not change while a load goes on: it is written once and then only repeated. */
export class FileProgressFormat {
  readonly #files: Readonly<Record<string, unknown>>;

  /** @throws OffloadError SOURCE_UNSUITABLE if the list is too long for a record. */
  constructor(files: readonly LoadedFile[]) {
    const list = files.map(({ path, bytes, crc32c, loadedBy }): ListedFile => [path, bytes, crc32c, loadedBy]);
    const text = JSON.stringify(list);
    const isLong = text.length > MAX_PLAIN_LIST_BYTES;
    this.#files = isLong ? { filesGzip: gzipSync(text).toString('base64') } : { files: list };
    const size = isLong ? String(this.#files.filesGzip).length : text.length;
    if (size <= MAX_RECORD_BYTES) return;
    throw new OffloadError(
      'SOURCE_UNSUITABLE',
      `cannot load ${files.length} files at once: their list takes ${size} bytes of a Kafka record, and ` +
        `${MAX_RECORD_BYTES} are the most; load them in several runs, each with a --write-config of its own`,
      { context: { files: files.length, bytes: size } },
    );
  }

  format(progress: Omit<FileProgress, 'files'>): string {
    return JSON.stringify({ version: 1, ...progress, ...this.#files });
  }
}

/** @throws OffloadError SAVED_OFFSETS_INVALID naming the key. */
export function parseFileProgress(key: string, text: string): FileProgress {
  const progress = readProgress(parseJson(text));
  if (progress !== null) return progress;
  throw new OffloadError(
    'SAVED_OFFSETS_INVALID',
    `the record ${key} of the progress topic is "${inOneLine(text)}", which is no progress of a load; write a tombstone to begin anew`,
    { context: { key } },
  );
}

/** Null for anything else than what `format` makes. */
function readProgress(value: unknown): FileProgress | null {
  if (!isObject(value) || value.version !== 1) return null;
  const { state, run, position, rows, startedAtMs, endedAtMs } = value;
  if ((state !== 'running' && state !== 'done') || typeof run !== 'string' || !isObject(position)) return null;
  const { file, row } = position;
  if (!isCount(file) || !isCount(row) || !isCount(rows)) return null;
  if (!isCount(startedAtMs) || !isCountOrNull(endedAtMs)) return null;
  const files = readList(value.files ?? unpacked(value.filesGzip));
  if (files === null || file > files.length) return null;
  return { state, run, owner: parseOwner(value.owner), files, position: { file, row }, rows, startedAtMs, endedAtMs };
}

function readList(list: unknown): LoadedFile[] | null {
  if (!Array.isArray(list)) return null;
  const files: LoadedFile[] = [];
  for (const entry of list) {
    if (!Array.isArray(entry)) return null;
    const [path, bytes, checksum, loadedBy] = entry as unknown[];
    if (typeof path !== 'string' || !isCount(bytes) || !isCount(checksum)) return null;
    if (typeof loadedBy !== 'string' && loadedBy !== null) return null;
    files.push({ path, bytes, crc32c: checksum, loadedBy });
  }
  return files;
}

function unpacked(filesGzip: unknown): unknown {
  if (typeof filesGzip !== 'string') return null;
  try {
    const list = gunzipSync(Buffer.from(filesGzip, 'base64'), { maxOutputLength: MAX_UNPACKED_BYTES });
    return parseJson(list.toString('utf8'));
  } catch {
    return null;
  }
}
