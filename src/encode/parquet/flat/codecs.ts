/** Compression of pages by native code. */
import { gzipSync } from 'node:zlib';
import { compressSync as lz4Sync } from 'lz4-napi';
import snappy from 'snappy';
import type { ParquetCompression } from '../../../config/job.ts';

/** Compresses a page, which must not change before the promise settles; without compression the page itself is returned. */
export type Compress = (page: Buffer) => Uint8Array | Promise<Uint8Array>;

export interface PageCodec {
  /** As ColumnMetaData.codec numbers it. */
  readonly code: number;
  readonly compress: Compress;
}

/** Bytes of the block's own size, which lz4-napi puts in front and LZ4_RAW does not have. */
const LZ4_SIZE_BYTES = 4;

/**
 * Else each result keeps a buffer of the largest size it might have had, and the garbage collector, told of the part in use
 * alone, lets them pile up: 356 MiB for 63 MiB of text that compresses well (November 2026).
 */
const COPIED = { copyOutputData: true };

/** What parquet-wasm, which shares files with this encoder, takes as well. */
const ZSTD_LEVEL = 1;

export const PAGE_CODECS: Readonly<Record<ParquetCompression, PageCodec>> = {
  none: { code: 0, compress: (page) => page },
  snappy: { code: 1, compress: (page) => snappy.compressSync(page, COPIED) },
  gzip: { code: 2, compress: (page) => gzipSync(page) },
  zstd: { code: 6, compress: async (page) => (await zstdModule()).compress(page, ZSTD_LEVEL) },
  lz4_raw: { code: 7, compress: (page) => lz4Sync(page).subarray(LZ4_SIZE_BYTES) },
};

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded with the first page that needs it. */
function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd');
  return zstd;
}
