/** The codecs of Kafka, for writing: LZ4 in WebAssembly, where the records lie; the others from libraries. */
import zlib from 'node:zlib';
import snappy from 'snappy';
import type { SectionMemory } from './sectionMemory.ts';

export const RECORD_COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
/** Ordered by their numbers in the attributes of a record batch. */
export type RecordCompression = (typeof RECORD_COMPRESSIONS)[number];

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
 * @param section In `memory`.
 * @returns Views of `memory`, or of memory that only the garbage collector holds. A promise for zstd.
 */
export function compressSection(
  compression: RecordCompression,
  section: Buffer,
  memory: SectionMemory,
): CompressedSection | Promise<CompressedSection> {
  const compressed = compressBy[compression](section, memory);
  const smaller = (bytes: Buffer): CompressedSection =>
    bytes.length < section.length
      ? { codec: RECORD_COMPRESSIONS.indexOf(compression), bytes }
      : { codec: RECORD_COMPRESSIONS.indexOf('none'), bytes: section };
  return compressed instanceof Promise ? compressed.then(smaller) : smaller(compressed);
}

const compressBy: Record<RecordCompression, (section: Buffer, memory: SectionMemory) => Buffer | Promise<Buffer>> = {
  none: (section) => section,
  gzip: (section) => zlib.gzipSync(section),
  snappy: (section) => snappy.compressSync(section),
  lz4: (section, memory) => memory.compressLz4(section),
  zstd: async (section) => (await zstdModule()).compress(section),
};

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded with the first zstd batch only. */
function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd');
  return zstd;
}
