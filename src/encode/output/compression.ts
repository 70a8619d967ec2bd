/**
 * Compression of files that are a stream of bytes: each block is a gzip member or a zstd frame of its own, and readers
 * take several one behind the other for one stream (RFC 1952, section 2.2; RFC 8878, section 3.1).
 */
import { gzipSync } from 'node:zlib';
import type { StreamCompression } from '../../config/writerOptions.ts';
import type { SealBlock } from './rowEncoder.ts';

/** As the command-line tools choose. */
const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;

interface StreamCodec {
  /** Blocks that are not compressed stay in the processor's cache; compressed ones shrink better when they are long. */
  readonly blockBytes: number;
  readonly seal: SealBlock;
}

export const STREAM_CODECS: Readonly<Record<StreamCompression, StreamCodec>> = {
  none: { blockBytes: 256 * 1024, seal: (block) => [block] },
  gzip: { blockBytes: 2 * 1024 ** 2, seal: (block) => [gzipSync(block, { level: GZIP_LEVEL })] },
  zstd: {
    blockBytes: 2 * 1024 ** 2,
    // A copy: the library works on it in another thread.
    seal: async (block) => [await (await zstdModule()).compress(Buffer.from(block), ZSTD_LEVEL)],
  },
};

/** Compresses a few bytes, such as a line of column names. */
export async function compressWhole(compression: StreamCompression, bytes: Buffer): Promise<Buffer> {
  return bytes.length === 0 ? bytes : Buffer.concat(await STREAM_CODECS[compression].seal(bytes, 0));
}

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded with the first block that needs it. */
export function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd');
  return zstd;
}
