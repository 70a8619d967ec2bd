/** Looks into an old file that is a stream of bytes, compressed or not: its first line, and what it ends with. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { StreamCompression } from '../../config/writerOptions.ts';
import { zstdFrames } from '../../decode/bounds.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import { NOTHING, type OldContent, type ReadableFile } from '../fileFormat.ts';
import { compressWhole, zstdModule } from './compression.ts';

const GZIP_MAGIC = Buffer.from('1f8b', 'hex');
const ZSTD_MAGIC = Buffer.from('28b52ffd', 'hex');
const PIECE_BYTES = 1024 ** 2;
/** A zstd file is read as a whole, frame by frame. */
const MAX_ZSTD_BYTES = 2 ** 31 - 1;
/** What a first line is looked for in. */
const FIRST_BYTES = 1024 ** 2;

interface Ends {
  /** The beginning, FIRST_BYTES at most. */
  readonly first: Buffer;
  /** The end, 16 bytes at most. */
  readonly last: Buffer;
}

const LAST_BYTES = 16;

/**
 * Keeps an old file whole, and ends its last line if it does not end in one.
 *
 * @param check Is given the beginning of the content, 1 MiB at most; throws if new rows cannot follow it.
 * @throws OffloadError TARGET_UNSUITABLE if the file is compressed in another way than new rows would be, or damaged.
 */
export async function keepLines(
  file: ReadableFile,
  compression: StreamCompression,
  lineSep: string,
  check: (first: Buffer) => void = () => {},
): Promise<OldContent> {
  await checkCompression(file, compression);
  const { first, last } = await readEnds(file, compression);
  check(first);
  const isEnded = last.length === 0 || last.subarray(-Buffer.byteLength(lineSep)).equals(Buffer.from(lineSep));
  const joint = isEnded ? NOTHING : await compressWhole(compression, Buffer.from(lineSep));
  return { keptBytes: file.bytes, joint, mark: NOTHING, footer: NOTHING, rows: null };
}

/** Keeps an old file whole, whatever it holds. */
export async function keepBytes(file: ReadableFile, compression: StreamCompression): Promise<OldContent> {
  await checkCompression(file, compression);
  return { keptBytes: file.bytes, joint: NOTHING, mark: NOTHING, footer: NOTHING, rows: null };
}

async function checkCompression(file: ReadableFile, compression: StreamCompression): Promise<void> {
  if (file.bytes === 0) return;
  const magic = await file.read(0, Math.min(4, file.bytes));
  const found: StreamCompression = magic.subarray(0, 2).equals(GZIP_MAGIC)
    ? 'gzip'
    : magic.equals(ZSTD_MAGIC)
      ? 'zstd'
      : 'none';
  if (found === compression) return;
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot append to ${file.path}: its compression is ${found}, and new rows would have ${compression}; give compression=${found} in --write-options, or write to another file`,
    { context: { path: file.path, found, compression } },
  );
}

async function readEnds(file: ReadableFile, compression: StreamCompression): Promise<Ends> {
  if (compression === 'none' || file.bytes === 0) {
    const first = await file.read(0, Math.min(FIRST_BYTES, file.bytes));
    const length = Math.min(LAST_BYTES, file.bytes);
    return { first, last: await file.read(file.bytes - length, length) };
  }
  try {
    return compression === 'gzip' ? await gunzipEnds(file) : await zstdEnds(file);
  } catch (error) {
    if (error instanceof OffloadError) throw error;
    throw new OffloadError(
      'TARGET_UNSUITABLE',
      `cannot append to ${file.path}: it does not inflate as ${compression} (${messageOf(error)}); write to another file`,
      { context: { path: file.path, compression }, cause: error },
    );
  }
}

/** Inflates the whole file: only then is it known how it ends. */
async function gunzipEnds(file: ReadableFile): Promise<Ends> {
  const source = Readable.from(piecesOf(file));
  const gunzip = createGunzip();
  // What fails in the file itself ends the other stream as well, with the same error.
  pipeline(source, gunzip, () => {});
  const ends = new EndsOf();
  try {
    for await (const piece of gunzip) ends.add(piece);
  } finally {
    // It has not been read to its end where the data ends before.
    source.destroy();
  }
  // Zeros are passed over by every reader of gzip, with all that follows them: new rows would be there and not be seen.
  const rest = file.bytes - gunzip.bytesWritten;
  if (rest > 0)
    throw new RangeError(`its data ends at byte ${gunzip.bytesWritten}, and ${rest} bytes of padding follow`);
  return ends;
}

async function* piecesOf(file: ReadableFile): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0; position < file.bytes; position += PIECE_BYTES) {
    yield await file.read(position, Math.min(PIECE_BYTES, file.bytes - position));
  }
}

async function zstdEnds(file: ReadableFile): Promise<Ends> {
  if (file.bytes > MAX_ZSTD_BYTES) throw new RangeError(`its ${file.bytes} bytes are more than can be looked through`);
  const whole = await file.read(0, file.bytes);
  const frames = zstdFrames(whole);
  const { decompress } = await zstdModule();
  const ends = new EndsOf();
  for (const [index, { start, end, maxBytes }] of frames.entries()) {
    if (maxBytes > MAX_ZSTD_BYTES) throw new RangeError(`a frame of it may inflate to ${maxBytes} bytes`);
    // Only the beginning and the end matter; frames between them are not inflated.
    if (ends.first.length < FIRST_BYTES || index === frames.length - 1) {
      ends.add(await decompress(whole.subarray(start, end)));
    }
  }
  return ends;
}

class EndsOf implements Ends {
  first = Buffer.alloc(0);
  last = Buffer.alloc(0);

  add(piece: Buffer): void {
    const missing = FIRST_BYTES - this.first.length;
    if (missing > 0) this.first = Buffer.concat([this.first, piece.subarray(0, missing)]);
    this.last = Buffer.concat([this.last, piece.subarray(-LAST_BYTES)]).subarray(-LAST_BYTES);
  }
}
