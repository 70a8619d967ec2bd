/** Where the records of a batch are written: memory of WebAssembly, in which LZ4 compresses them without a copy. */
import { loadWasmModule, WasmInstance, type WasmModule } from '../../wasmModule.ts';

interface Functions {
  compressLz4Block(input: number, bytes: number, output: number, table: number): number;
}

const TABLE_AT = 0;
const SECTION_AT = 32 * 1024;
/** Copies in the module touch up to 15 bytes behind what they copy. */
const SLACK_BYTES = 64;

/** Magic, then: version 1, blocks that do not build on one another, no checksums; the batch has one over all. */
const FRAME_START = [0x04, 0x22, 0x4d, 0x18, 0x60];
/** Largest blocks with their codes, and the byte that checks them and the flags (xxHash32). A reader makes room for one. */
const BLOCK_SIZES = [
  { bytes: 64 * 1024, code: 0x40, check: 0x82 },
  { bytes: 256 * 1024, code: 0x50, check: 0xfb },
  { bytes: 1024 * 1024, code: 0x60, check: 0x51 },
  { bytes: 4 * 1024 * 1024, code: 0x70, check: 0x73 },
] as const;
const LARGEST = BLOCK_SIZES[3];
const FRAME_START_BYTES = FRAME_START.length + 2;
/** The size before each block, and the one of none at the end. */
const SIZE_BYTES = 4;
const IS_STORED = 0x8000_0000;

let compiled: WasmModule | undefined;

export class SectionMemory {
  #instance: WasmInstance<Functions> | undefined;

  /** Makes room for so many bytes, and for what they compress to. What is there stays; views made before do not. */
  reserve(bytes: number): Buffer<ArrayBuffer> {
    compiled ??= loadWasmModule(import.meta.url, './assembly/index.wasm');
    this.#instance ??= new WasmInstance<Functions>(compiled);
    this.#instance.reserve(frameAt(bytes) + mostFrameBytes(bytes));
    return Buffer.from(this.#instance.bytes.buffer, SECTION_AT, bytes);
  }

  /**
   * @param section What `reserve` gave, or its first bytes.
   * @returns One LZ4 frame, until the next call of any method.
   */
  compressLz4(section: Buffer): Buffer {
    const instance = this.#instance;
    if (!instance || section.buffer !== instance.bytes.buffer || section.byteOffset !== SECTION_AT) {
      throw new TypeError('the section is not in its memory');
    }
    const { bytes, functions } = instance;
    const { length } = section;
    const start = frameAt(length);
    const frame = Buffer.from(bytes.buffer, start, mostFrameBytes(length));
    const block = BLOCK_SIZES.find((size) => size.bytes >= length) ?? LARGEST;
    frame.set([...FRAME_START, block.code, block.check]);
    let used = FRAME_START_BYTES;
    for (let from = 0; from < length; from += block.bytes) {
      const size = Math.min(block.bytes, length - from);
      const to = start + used + SIZE_BYTES;
      const made = functions.compressLz4Block(SECTION_AT + from, size, to, TABLE_AT) - to;
      const isStored = made >= size;
      if (isStored) section.copy(frame, used + SIZE_BYTES, from, from + size);
      used = frame.writeUInt32LE(isStored ? IS_STORED + size : made, used) + (isStored ? size : made);
    }
    return frame.subarray(0, frame.writeUInt32LE(0, used));
  }
}

function frameAt(sectionBytes: number): number {
  return SECTION_AT + sectionBytes + SLACK_BYTES;
}

function mostFrameBytes(sectionBytes: number): number {
  const blocks = Math.ceil(sectionBytes / LARGEST.bytes);
  return FRAME_START_BYTES + (blocks + 1) * (SIZE_BYTES + SLACK_BYTES) + sectionBytes + Math.ceil(sectionBytes / 255);
}
