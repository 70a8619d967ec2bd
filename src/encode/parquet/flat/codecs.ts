/** Compression of pages: Snappy where they are made, the others by native code. */
import { gzipSync } from 'node:zlib';
import { compressSync as lz4Sync } from 'lz4-napi';
import type { ParquetCompression } from '../../../config/job.ts';
import type { PageKernel } from './kernel.ts';

/** Compresses a page that lies in the kernel, and must not change before the promise settles; without compression it is returned itself. */
export type Compress = (page: Buffer, kernel: PageKernel) => Uint8Array | Promise<Uint8Array>;

export interface PageCodec {
  /** As ColumnMetaData.codec numbers it. */
  readonly code: number;
  readonly compress: Compress;
}

/** Bytes of the block's own size, which lz4-napi puts in front and LZ4_RAW does not have. */
const LZ4_SIZE_BYTES = 4;

/** What parquet-wasm, which shares files with this encoder, takes as well. */
const ZSTD_LEVEL = 1;

export const PAGE_CODECS: Readonly<Record<ParquetCompression, PageCodec>> = {
  none: { code: 0, compress: (page) => page },
  snappy: { code: 1, compress: (page, kernel) => kernel.compressSnappy(page) },
  gzip: { code: 2, compress: (page) => gzipSync(page) },
  zstd: { code: 6, compress: async (page) => (await zstdModule()).compress(page, ZSTD_LEVEL) },
  lz4_raw: { code: 7, compress: (page) => lz4Sync(page).subarray(LZ4_SIZE_BYTES) },
};

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded with the first page that needs it: the native part itself, since what is around it leaves the level out. */
function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd/bindings.js');
  return zstd;
}
