/** The bytes of a file in pieces, inflated and as UTF-8. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pipeline, type Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { FileCompression, TextEncoding } from '../../config/readerOptions.ts';
import { zstdFrames } from '../../decode/bounds.ts';
import { ioError, messageOf, OffloadError } from '../../errors.ts';
import { compressionOf } from './compression.ts';

const PIECE_BYTES = 1024 * 1024;

export interface FileBytesOptions {
  readonly compression: FileCompression;
  readonly memoryLimitBytes: number;
  readonly signal?: AbortSignal;
}

/** Node has it from 22.15 on; the types are those of Node 20. */
const createZstdDecompress = (zlib as unknown as { createZstdDecompress?: () => Transform }).createZstdDecompress;

/**
 * Reads a file from its beginning to its end.
 *
 * @throws OffloadError IO_FAILED; SOURCE_UNSUITABLE if the file does not inflate, or is a zstd frame larger than memory
 *   allows where Node inflates only whole frames.
 */
export async function* fileBytes(file: string, options: FileBytesOptions): AsyncGenerator<Buffer, void, undefined> {
  const compression = compressionOf(options.compression, file);
  if (compression === 'zstd' && createZstdDecompress === undefined) {
    yield* zstdFrameBytes(file, options.memoryLimitBytes);
    return;
  }
  const raw = createReadStream(file, { highWaterMark: PIECE_BYTES });
  const inflate = {
    none: () => null,
    gzip: () => zlib.createGunzip({ chunkSize: PIECE_BYTES }),
    zstd: createZstdDecompress,
  };
  const transform = inflate[compression]?.() ?? null;
  // What fails in the file itself ends the transform as well, with the same error.
  const stream = transform === null ? raw : pipeline(raw, transform, () => {});
  try {
    for await (const piece of stream) {
      options.signal?.throwIfAborted();
      yield piece as Buffer;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw ioError('read', file, error);
    if (error instanceof OffloadError || transform === null) throw error;
    throw cannotInflate(file, compression, messageOf(error), error);
  } finally {
    raw.destroy();
  }
}

async function* zstdFrameBytes(file: string, memoryLimitBytes: number): AsyncGenerator<Buffer, void, undefined> {
  const { size } = await stat(file).catch((error: unknown) => {
    throw ioError('read', file, error);
  });
  const tooLarge = (bytes: number): OffloadError =>
    new OffloadError(
      'SOURCE_UNSUITABLE',
      `cannot read ${file}: ${bytes} bytes of zstd must be in memory at once and ${memoryLimitBytes} are allowed; raise --max-memory, or compress it with gzip`,
      { context: { path: file, bytes, memoryLimitBytes } },
    );
  if (size > memoryLimitBytes) throw tooLarge(size);
  if (size === 0) return;
  const { decompress } = await import('@mongodb-js/zstd');
  const bytes = await readFile(file);
  let frames: ReturnType<typeof zstdFrames>;
  try {
    frames = zstdFrames(bytes);
  } catch (error) {
    throw cannotInflate(file, 'zstd', messageOf(error), error);
  }
  for (const { start, end, maxBytes } of frames) {
    if (maxBytes > memoryLimitBytes) throw tooLarge(maxBytes);
    yield await decompress(bytes.subarray(start, end)).catch((error: unknown) => {
      throw cannotInflate(file, 'zstd', messageOf(error), error);
    });
  }
}

function cannotInflate(file: string, codec: string, why: string, cause: unknown): OffloadError {
  return new OffloadError('SOURCE_UNSUITABLE', `cannot read ${file}: it does not inflate as ${codec} (${why})`, {
    context: { path: file },
    cause,
  });
}

/** The same text as UTF-8, without a byte order mark; `utf-8` passes as it is, whether valid or not. */
export async function* asUtf8(
  pieces: AsyncIterable<Buffer>,
  encoding: TextEncoding,
): AsyncGenerator<Buffer, void, undefined> {
  const decoder = encoding.startsWith('utf-16') ? new TextDecoder(encoding, { ignoreBOM: true }) : null;
  let isFirst = true;
  for await (const piece of pieces) {
    let text = encoding === 'latin1' ? Buffer.from(piece.toString('latin1')) : piece;
    if (decoder !== null) text = Buffer.from(decoder.decode(piece, { stream: true }));
    // A mark cut in two by the first piece would need a file that begins with a piece of one byte.
    if (isFirst && encoding !== 'latin1' && text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) {
      text = text.subarray(3);
    }
    if (text.length > 0) isFirst = false;
    yield text;
  }
  const rest = decoder?.decode() ?? '';
  if (rest !== '') yield Buffer.from(rest);
}
