import zlib from 'node:zlib';
import { messageOf, OffloadError } from '../errors.ts';
import { countNativeBytes } from '../nativeBuffers.ts';
import { type Frame, snappyBound, zstdFrames } from './bounds.ts';
import { type BatchPlace, batchCorrupt, batchTooLarge } from './errors.ts';
import type { DecodeKernel } from './kernel.ts';
import { lz4Frames } from './lz4Frames.ts';

/** Codecs by the number in the attributes of a record batch. */
const CODEC_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
/** Those that the kernel holds, which need no event loop to be freed. */
const IN_KERNEL: readonly string[] = ['snappy', 'lz4'];

/** Java frames Snappy as the xerial stream does: this mark, two versions, then blocks with their lengths in front. */
const XERIAL_MARK = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

/** Gzip output is collected in chunks; one chunk that fits avoids joining, but is allocated before the first byte. */
const GZIP_MIN_CHUNK_BYTES = 4 * 1024;
const GZIP_MAX_CHUNK_BYTES = 1024 * 1024;

type SyncInflate = (section: Buffer, options: { maxOutputLength: number }) => Buffer;
/** Node has it from 22.15 on; the types are those of Node 20. */
const zstdDecompressSync = (zlib as unknown as { zstdDecompressSync?: SyncInflate }).zstdDecompressSync;

/**
 * Inflates the records section of one batch. What it may inflate to is bounded first, from its own headers.
 *
 * @param codec Number from the attributes of the batch.
 * @param maxBytes Limit of the inflated section.
 * @param kernel Holds what it inflates, which is Snappy and LZ4, until it is used again.
 * @returns The records, as a view of `section` where they are not compressed; a promise for zstd on a Node without it, and
 *   now and then for the others, so that memory is given back.
 * @throws OffloadError BATCH_TOO_LARGE, BATCH_CORRUPT, or FORMAT_UNSUPPORTED for a codec that Kafka does not define.
 */
export function inflate(
  codec: number,
  section: Buffer,
  maxBytes: number,
  place: BatchPlace,
  kernel: DecodeKernel,
): Buffer | Promise<Buffer> {
  const name = CODEC_NAMES[codec];
  if (name === undefined) {
    throw new OffloadError(
      'FORMAT_UNSUPPORTED',
      `cannot decode the record batch at offset ${place.offset} of ${place.topic}/${place.partition}: its codec is ${codec}, ` +
        `and Kafka defines 0 to ${CODEC_NAMES.length - 1}; a newer version of kafkaload may know it`,
      { context: { ...place, codec } },
    );
  }
  const failed = (error: unknown): OffloadError =>
    error instanceof OffloadError
      ? error
      : batchCorrupt(
          place,
          `its ${section.length} bytes of ${name} do not inflate (${messageOf(error)})`,
          { codec: name },
          error,
        );
  const allow = (inflatedBytes: number): void => {
    if (inflatedBytes > maxBytes) throw batchTooLarge(place, name, section.length, inflatedBytes, maxBytes);
  };
  try {
    const inflated = inflateBy[name](section, maxBytes, allow, kernel);
    return inflated instanceof Promise
      ? inflated.then(
          (bytes) => released(bytes, section),
          (error: unknown) => {
            throw failed(error);
          },
        )
      : IN_KERNEL.includes(name)
        ? inflated
        : released(inflated, section);
  } catch (error) {
    throw failed(error);
  }
}

/** Whether every section of this codec comes as a promise, so that it pays to begin with the next ones early. */
export function inflatesAside(codec: number): boolean {
  return CODEC_NAMES[codec] === 'zstd' && zstdDecompressSync === undefined;
}

/**
 * Lets garbage go once in a while. The buffers of the native codecs are freed when the event loop turns and nowhere else: a
 * loop over batches that are all at hand kept every byte it inflated (1.1 GB after 800 MB).
 */
function released(inflated: Buffer, section: Buffer): Buffer | Promise<Buffer> {
  if (inflated === section) return inflated;
  const release = countNativeBytes(inflated.length);
  return release === undefined ? inflated : release.then(() => inflated);
}

/** `allow` throws if its argument is beyond the limit; it is called before anything of that size is allocated. */
type Inflate = (
  section: Buffer,
  maxBytes: number,
  allow: (bytes: number) => void,
  kernel: DecodeKernel,
) => Buffer | Promise<Buffer>;

const inflateBy: Record<(typeof CODEC_NAMES)[number], Inflate> = {
  none(section, _maxBytes, allow) {
    allow(section.length);
    return section;
  },
  gzip: inflateGzip,
  snappy: inflateSnappy,
  lz4(section, _maxBytes, allow, kernel) {
    const frames = lz4Frames(section);
    allow(sumOf(frames));
    return kernel.inflateLz4(section, frames);
  },
  zstd(section, maxBytes, allow) {
    const frames = zstdFrames(section);
    allow(sumOf(frames));
    if (zstdDecompressSync === undefined) return zstdModule().then(({ decompress }) => decompress(section));
    const options = { maxOutputLength: maxBytes };
    return join(frames.map((frame) => zstdDecompressSync(section.subarray(frame.start, frame.end), options)));
  },
};

function sumOf(frames: readonly Frame[]): number {
  return frames.reduce((sum, frame) => sum + frame.maxBytes, 0);
}

function inflateGzip(section: Buffer, maxBytes: number, allow: (bytes: number) => void): Buffer {
  // A member ends with its size modulo 2^32: no more than a hint, but with it most batches come out in one chunk.
  const hint = section.length >= 18 ? section.readUInt32LE(section.length - 4) + 1 : 0;
  const chunkSize = Math.min(Math.max(hint, GZIP_MIN_CHUNK_BYTES), GZIP_MAX_CHUNK_BYTES);
  try {
    return zlib.gunzipSync(section, { maxOutputLength: maxBytes, chunkSize });
  } catch (error) {
    // zlib stops at the limit and does not say how much there is: at least one byte more.
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') allow(maxBytes + 1);
    throw error;
  }
}

function inflateSnappy(
  section: Buffer,
  _maxBytes: number,
  allow: (bytes: number) => void,
  kernel: DecodeKernel,
): Buffer {
  if (section.length < XERIAL_HEADER_BYTES || !section.subarray(0, XERIAL_MARK.length).equals(XERIAL_MARK)) {
    allow(snappyBound(section));
    return kernel.inflateSnappy([section]);
  }
  const blocks: Buffer[] = [];
  let inflatedBytes = 0;
  for (let position = XERIAL_HEADER_BYTES; position < section.length; ) {
    const start = position + 4;
    const length = start <= section.length ? section.readInt32BE(position) : -1;
    if (length < 0 || start + length > section.length) {
      throw new RangeError(`a block of ${length} bytes begins at byte ${start} of ${section.length}`);
    }
    const block = section.subarray(start, start + length);
    inflatedBytes += snappyBound(block);
    blocks.push(block);
    position = start + length;
  }
  allow(inflatedBytes);
  return kernel.inflateSnappy(blocks);
}

function join(parts: Buffer[]): Buffer {
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

let zstd: Promise<typeof import('@mongodb-js/zstd')> | undefined;
/** Loaded when the first zstd batch comes, and only where Node cannot do it. */
function zstdModule(): Promise<typeof import('@mongodb-js/zstd')> {
  zstd ??= import('@mongodb-js/zstd');
  return zstd;
}
