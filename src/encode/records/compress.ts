/** The codecs of Kafka, for writing: the same libraries as reading (decode/codecs.ts). */
import zlib from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import snappy from 'snappy';

export const RECORD_COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
/** Ordered by their numbers in the attributes of a record batch. */
export type RecordCompression = (typeof RECORD_COMPRESSIONS)[number];

/**
 * Makes events half as large and costs little. One core, JSON events in sections of 1 MiB, most of them repeating
 * (November 2026): lz4 431 MB/s to 41%, snappy 437 MB/s to 43%, zstd 182 MB/s to 23%, gzip 59 MB/s to 24%. With the
 * transaction (bench/produce.ts) lz4 and snappy are as fast as one another, and none is not faster.
 */
export const DEFAULT_RECORD_COMPRESSION: RecordCompression = 'lz4';

export interface CompressedSection {
  readonly codec: number;
  readonly bytes: Uint8Array;
}

/**
 * Compresses the records of one batch. A section that does not become smaller stays as it is, with the codec `none`: so
 * a batch never has more bytes than were counted while it was filled.
 *
 * Snappy is not framed as the Java client frames it: it reads the plain block as well, which is what librdkafka writes.
 *
 * @returns Views of `section` or of memory that only the garbage collector holds. A promise for zstd.
 */
export function compressSection(
  compression: RecordCompression,
  section: Buffer,
): CompressedSection | Promise<CompressedSection> {
  const compressed = compressBy[compression](section);
  const smaller = (bytes: Buffer): CompressedSection =>
    bytes.length < section.length
      ? { codec: RECORD_COMPRESSIONS.indexOf(compression), bytes }
      : { codec: RECORD_COMPRESSIONS.indexOf('none'), bytes: section };
  return compressed instanceof Promise ? compressed.then(smaller) : smaller(compressed);
}

const compressBy: Record<RecordCompression, (section: Buffer) => Buffer | Promise<Buffer>> = {
  none: (section) => section,
  gzip: (section) => zlib.gzipSync(section),
  snappy: (section) => snappy.compressSync(section),
  lz4: (section) => compressFrameSync(section),
  zstd: async (section) => (await zstdModule()).compress(section),
};

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded with the first zstd batch only. */
function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd');
  return zstd;
}
