/**
 * Upper bounds of what a compressed section inflates to, from its frame and block headers alone: @mongodb-js/zstd
 * cannot be told to stop at a size, so a batch must be refused before it reaches them.
 *
 * Each function returns a bound in bytes, or throws a `RangeError` whose message names the header that cannot be.
 */

const ZSTD_MAGIC = 0xfd2fb528;
/** Both formats reserve 0x184D2A50 to 0x184D2A5F for frames that hold no data. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;

/** Block_Maximum_Size of Zstandard (RFC 8878, section 3.1.1.2.4). */
const ZSTD_BLOCK_BYTES = 128 * 1024;

/** A frame with data: where it begins and ends in its section, and what it inflates to at most. */
export interface Frame {
  readonly start: number;
  readonly end: number;
  readonly maxBytes: number;
}

/**
 * The data frames of a Zstandard section, in order; Node inflates one frame a call. Java writes frames without a content
 * size, and where there is one a streaming decoder checks it only at the end: the blocks decide, and a size claimed
 * beyond them counts as well.
 */
export function zstdFrames(section: Buffer): Frame[] {
  return dataFrames(section, 'zstd', zstdFrame);
}

/** The frames of a section that hold data; both LZ4 and Zstandard allow others between them. */
export function dataFrames<Found extends Frame>(
  section: Buffer,
  format: string,
  frameAt: (section: Buffer, start: number) => Found,
): Found[] {
  const found: Found[] = [];
  let position = 0;
  while (position < section.length) {
    const skipped = skippableEnd(section, position);
    if (skipped > 0) {
      position = skipped;
      continue;
    }
    const frame = frameAt(section, position);
    found.push(frame);
    position = frame.end;
  }
  if (found.length === 0) throw new RangeError(`there is no ${format} frame`);
  return found;
}

function zstdFrame(section: Buffer, start: number): Frame {
  need(section, start, 5, 'the zstd frame header');
  const magic = section.readUInt32LE(start);
  if (magic !== ZSTD_MAGIC) throw new RangeError(`the zstd frame begins with 0x${magic.toString(16)}`);
  const descriptor = section.readUInt8(start + 4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksumBytes = (descriptor & 0x04) !== 0 ? 4 : 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] as number;
  const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number;
  let position = start + 5;
  let windowBytes = 0;
  if (!singleSegment) {
    need(section, position, 1, 'the zstd window size');
    const window = section.readUInt8(position);
    const base = 2 ** (10 + (window >>> 3));
    windowBytes = base + (base / 8) * (window & 0x07);
    position += 1;
  }
  position += dictionaryBytes;
  need(section, position, contentSizeBytes, 'the zstd content size');
  const contentBytes = zstdContentSize(section, position, contentSizeBytes);
  if (singleSegment) windowBytes = contentBytes;
  position += contentSizeBytes;
  const blockBytes = Math.min(windowBytes, ZSTD_BLOCK_BYTES);
  let blocksBytes = 0;
  for (let last = false; !last; ) {
    need(section, position, 3, 'a zstd block header');
    const header = section.readUIntLE(position, 3);
    last = (header & 1) === 1;
    const kind = (header >>> 1) & 0x03;
    const size = header >>> 3;
    position += 3;
    if (kind === 3) throw new RangeError('a zstd block has the reserved type');
    if (size > blockBytes) throw new RangeError(`a zstd block has ${size} bytes, and the frame allows ${blockBytes}`);
    // 0: stored; 1: one byte, repeated `size` times; 2: compressed, so it may fill a block.
    blocksBytes += kind === 2 ? blockBytes : size;
    position += kind === 1 ? 1 : size;
  }
  need(section, position, checksumBytes, 'the zstd checksum');
  return { start, end: position + checksumBytes, maxBytes: Math.max(blocksBytes, contentBytes) };
}

/** RFC 8878, section 3.1.1.1.4: a size of two bytes has 256 taken off it. 0 where there is none. */
function zstdContentSize(section: Buffer, position: number, bytes: number): number {
  if (bytes === 0) return 0;
  if (bytes === 8) return section.readUInt32LE(position) + section.readUInt32LE(position + 4) * 0x1_0000_0000;
  return section.readUIntLE(position, bytes) + (bytes === 2 ? 256 : 0);
}

export interface SnappyLength {
  readonly value: number;
  /** How many bytes say so. */
  readonly bytes: number;
}

/** The length a raw Snappy block begins with, as a varint of at most five bytes. */
export function snappyLength(block: Buffer): SnappyLength {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    need(block, i, 1, 'the Snappy length');
    const byte = block.readUInt8(i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, bytes: i + 1 };
  }
  throw new RangeError('the Snappy length is longer than five bytes');
}

/** What a raw Snappy block claims to inflate to. */
export function snappyBound(block: Buffer): number {
  return snappyLength(block).value;
}

/** End of the skippable frame at `position`; 0 if none begins there. */
function skippableEnd(section: Buffer, position: number): number {
  if (position + 8 > section.length) return 0;
  if ((section.readUInt32LE(position) & SKIPPABLE_MASK) >>> 0 !== SKIPPABLE_MAGIC) return 0;
  const size = section.readUInt32LE(position + 4);
  need(section, position + 8, size, 'a skippable frame');
  return position + 8 + size;
}

export function need(section: Buffer, position: number, bytes: number, what: string): void {
  if (position + bytes > section.length) {
    throw new RangeError(`${what} ends at byte ${position + bytes} of ${section.length}`);
  }
}
