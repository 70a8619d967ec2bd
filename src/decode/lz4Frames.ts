/** The frames of an LZ4 section, read from their headers alone (LZ4 Frame Format). */
import { dataFrames, type Frame, need } from './bounds.ts';

const MAGIC = 0x184d2204;
/** Block maximum sizes by the code in the frame descriptor ("BD byte"); codes 0 to 3 are reserved. */
const BLOCK_BYTES = [0, 0, 0, 0, 65536, 262144, 1048576, 4194304];
/** A match grows by at most 255 bytes with each byte of its length (LZ4 Block Format). */
const MAX_RATIO = 255;

export interface Lz4Block {
  /** Of its data, in the section. */
  readonly start: number;
  readonly bytes: number;
  readonly isStored: boolean;
}

export interface Lz4Frame extends Frame {
  readonly blocks: readonly Lz4Block[];
  /** What a block inflates to at most. */
  readonly blockBytes: number;
  /** Whether matches reach back into earlier blocks of the frame. */
  readonly isLinked: boolean;
}

/**
 * The data frames of an LZ4 section, in order. Their checksums are not looked at: that of the batch covers the same bytes.
 *
 * @throws RangeError whose message names the header that cannot be.
 */
export function lz4Frames(section: Buffer): Lz4Frame[] {
  return dataFrames(section, 'LZ4', lz4Frame);
}

function lz4Frame(section: Buffer, start: number): Lz4Frame {
  need(section, start, 7, 'the LZ4 frame header');
  const magic = section.readUInt32LE(start);
  if (magic !== MAGIC) throw new RangeError(`the LZ4 frame begins with 0x${magic.toString(16)}`);
  const flags = section.readUInt8(start + 4);
  const version = flags >>> 6;
  if (version !== 1) throw new RangeError(`the LZ4 frame has version ${version}`);
  if ((flags & 0x01) !== 0) throw new RangeError('the LZ4 frame needs a dictionary');
  const blockChecksumBytes = (flags & 0x10) !== 0 ? 4 : 0;
  const contentSizeBytes = (flags & 0x08) !== 0 ? 8 : 0;
  const contentChecksumBytes = (flags & 0x04) !== 0 ? 4 : 0;
  const blockBytes = BLOCK_BYTES[(section.readUInt8(start + 5) >>> 4) & 0x07] as number;
  if (blockBytes === 0) throw new RangeError('the LZ4 frame has a reserved block size');
  const blocks: Lz4Block[] = [];
  let maxBytes = 0;
  let position = start + 7 + contentSizeBytes;
  for (;;) {
    need(section, position, 4, 'an LZ4 block size');
    const word = section.readUInt32LE(position);
    position += 4;
    if (word === 0) break;
    const bytes = word & 0x7fffffff;
    const isStored = word >>> 31 === 1;
    if (bytes > blockBytes) throw new RangeError(`an LZ4 block has ${bytes} bytes, and the frame allows ${blockBytes}`);
    need(section, position, bytes + blockChecksumBytes, 'an LZ4 block');
    maxBytes += isStored ? bytes : Math.min(blockBytes, bytes * MAX_RATIO);
    blocks.push({ start: position, bytes, isStored });
    position += bytes + blockChecksumBytes;
  }
  need(section, position, contentChecksumBytes, 'the LZ4 content checksum');
  const isLinked = (flags & 0x20) === 0;
  return { start, end: position + contentChecksumBytes, maxBytes, blocks, blockBytes, isLinked };
}
