/** Inflates LZ4 and Snappy and takes records apart in WebAssembly, in memory that serves batch after batch. */
import { loadWasmModule, WasmInstance, type WasmModule } from '../wasmModule.ts';
import type { BatchHeader } from './batchHeader.ts';
import { type SnappyLength, snappyLength } from './bounds.ts';
import type { MessageColumns } from './columns.ts';
import { decodeHeaders } from './headers.ts';
import type { Lz4Frame } from './lz4Frames.ts';
import { checkCount, malformed } from './recordChecks.ts';
import type { WantedOffsets } from './recordWalk.ts';

interface Functions {
  inflateLz4Block(block: number, blockEnd: number, output: number, limit: number, outputStart: number): number;
  inflateSnappyBlock(block: number, blockEnd: number, output: number, outputEnd: number): number;
  decodeRecords(): number;
}

/** Where `decodeRecords` leaves its answer, and what is wrong, as indexes of words. Its call begins at 0. */
const ANSWER = 32;
const WRONG = 37;
const FLAG = { keys: 1, values: 2, timestamps: 4, usesDeltas: 8, headers: 16 } as const;

const SECTION_AT = 1024;
/** Copies in the module touch up to 15 bytes behind what they copy. */
const SLACK_BYTES = 64;
/** A batch that needed more leaves its memory behind: a memory cannot shrink. */
const MAX_KEPT_BYTES = 32 * 1024 ** 2;
const TWO_POW_32 = 0x1_0000_0000;
const MAX_INT32 = 0x7fffffff;

let compiled: WasmModule | undefined;

/** Holds one inflated batch at a time: what was inflated is lost with the next call of any method. */
export class DecodeKernel {
  #instance: WasmInstance<Functions> | undefined;
  #held: Buffer | undefined;

  /**
   * @param frames Of `section`, as `lz4Frames` found them.
   * @returns What they inflate to, as a view of this kernel's memory.
   * @throws RangeError for a block that is malformed.
   */
  inflateLz4(section: Buffer, frames: readonly Lz4Frame[]): Buffer {
    const most = frames.reduce((sum, frame) => sum + frame.maxBytes, 0);
    const compressedAt = SECTION_AT + most + SLACK_BYTES;
    const { bytes, functions } = this.#reserve(compressedAt + section.length + SLACK_BYTES);
    bytes.set(section, compressedAt);
    let end = SECTION_AT;
    for (const { blocks, blockBytes, isLinked } of frames) {
      const frameStart = end;
      for (const { start, bytes: size, isStored } of blocks) {
        const from = compressedAt + start;
        if (isStored) {
          bytes.copyWithin(end, from, from + size);
          end += size;
          continue;
        }
        const limit = Math.min(end + blockBytes, SECTION_AT + most);
        const inflatedEnd = functions.inflateLz4Block(from, from + size, end, limit, isLinked ? frameStart : end);
        if (inflatedEnd === 0) throw new RangeError(`the LZ4 block at byte ${start} is malformed`);
        end = inflatedEnd;
      }
    }
    this.#held = Buffer.from(bytes.buffer, SECTION_AT, end - SECTION_AT);
    return this.#held;
  }

  /**
   * @param blocks Of a section, with the length that each begins with.
   * @returns What they inflate to, as a view of this kernel's memory.
   * @throws RangeError for a block that is malformed, or has not the length it claims.
   */
  inflateSnappy(blocks: readonly Buffer[]): Buffer {
    const lengths = blocks.map(snappyLength);
    const inflatedBytes = lengths.reduce((sum, { value }) => sum + value, 0);
    const compressedAt = SECTION_AT + inflatedBytes + SLACK_BYTES;
    const largest = blocks.reduce((most, block) => Math.max(most, block.length), 0);
    const { bytes, functions } = this.#reserve(compressedAt + largest + SLACK_BYTES);
    let end = SECTION_AT;
    for (const [index, block] of blocks.entries()) {
      const { value, bytes: lengthBytes } = lengths[index] as SnappyLength;
      bytes.set(block, compressedAt);
      const from = compressedAt + lengthBytes;
      const inflatedEnd = functions.inflateSnappyBlock(from, compressedAt + block.length, end, end + value);
      if (inflatedEnd !== end + value) throw new RangeError(`block ${index} of ${blocks.length} is malformed`);
      end = inflatedEnd;
    }
    this.#held = Buffer.from(bytes.buffer, SECTION_AT, end - SECTION_AT);
    return this.#held;
  }

  /**
   * Adds the records of a batch to the columns.
   *
   * @param section Its records, inflated: anywhere.
   * @throws MalformedRecords that says which check failed, with both values; the caller adds where the batch stands.
   */
  decode(section: Buffer, batch: BatchHeader, wanted: WantedOffsets, into: MessageColumns): void {
    const { recordCount } = batch;
    checkCount(section, recordCount);
    const { key, value, headers } = into;
    // Growing leaves views of the memory behind without bytes, and the bytes where they are.
    const { length } = section;
    const isHeld = section === this.#held;
    const at = layOut(length, recordCount, into);
    const instance = this.#reserve(at.end);
    const { words, bytes } = instance;
    if (!isHeld) bytes.set(section, SECTION_AT);
    this.#held = undefined;
    words.set(
      [
        SECTION_AT,
        SECTION_AT + length,
        recordCount,
        batch.lastOffsetDelta,
        Math.min(MAX_INT32, Math.max(0, wanted.startOffset - batch.baseOffset)),
        Math.min(MAX_INT32, Math.max(0, wanted.endOffset - batch.baseOffset)),
        batch.baseOffset % TWO_POW_32,
        Math.floor(batch.baseOffset / TWO_POW_32),
        // Under LogAppendTime the producer's deltas stay in the records and mean nothing.
        batch.logAppendTime ? batch.maxTimestampLow : batch.baseTimestampLow,
        batch.logAppendTime ? batch.maxTimestampHigh : batch.baseTimestampHigh,
        flagsOf(into, batch),
        key?.bytes ?? 0,
        value?.bytes ?? 0,
        at.keys,
        at.values,
        at.keyEnds,
        at.valueEnds,
        at.keyNulls,
        at.valueNulls,
        at.offsets,
        at.timestamps,
        at.headers,
      ],
      0,
    );
    const outcome = instance.functions.decodeRecords();
    if (outcome !== 0) throw malformed(outcome, words.subarray(WRONG, WRONG + 3), batch);

    const [rows = 0, keyBytes = 0, valueBytes = 0, keyNulls = 0, valueNulls = 0] = words.subarray(ANSWER, WRONG);
    const first = into.rows;
    into.reserveRows(rows);
    const wordsAt = (address: number, count: number): Int32Array =>
      words.subarray(address >>> 2, (address >>> 2) + count);
    // Headers first: they are checked here, and an error leaves the rows of the columns as they were.
    if (headers) {
      decodeHeaders(Buffer.from(bytes.buffer, SECTION_AT, length), wordsAt(at.headers, rows * 3), headers, first);
    }
    if (key) {
      const flags = keyNulls > 0 ? bytes.subarray(at.keyNulls, at.keyNulls + rows) : null;
      key.append(bytes.subarray(at.keys, at.keys + keyBytes), wordsAt(at.keyEnds, rows), flags, keyNulls);
    }
    if (value) {
      const flags = valueNulls > 0 ? bytes.subarray(at.valueNulls, at.valueNulls + rows) : null;
      value.append(bytes.subarray(at.values, at.values + valueBytes), wordsAt(at.valueEnds, rows), flags, valueNulls);
    }
    into.offsetWords.set(wordsAt(at.offsets, rows * 2), first * 2);
    into.timestampWords?.set(wordsAt(at.timestamps, rows * 2), first * 2);
    into.timestampTypes?.fill(batch.logAppendTime ? 1 : 0, first, first + rows);
    into.rows = first + rows;
  }

  #reserve(bytes: number): WasmInstance<Functions> {
    const isWasted = this.#held === undefined && bytes <= MAX_KEPT_BYTES;
    if (isWasted && this.#instance && this.#instance.bytes.length > MAX_KEPT_BYTES) this.#instance = undefined;
    compiled ??= loadWasmModule(import.meta.url, './assembly/index.wasm');
    this.#instance ??= new WasmInstance<Functions>(compiled);
    this.#instance.reserve(bytes);
    return this.#instance;
  }
}

/** Where things lie, in bytes: what the module makes of a section, behind the section. */
function layOut(sectionBytes: number, rows: number, { key, value, headers, timestampWords }: MessageColumns) {
  let end = SECTION_AT + sectionBytes + SLACK_BYTES;
  const take = (bytes: number): number => {
    // Int64 first in line.
    const start = Math.ceil(end / 8) * 8;
    end = start + bytes;
    return start;
  };
  const places = {
    keys: take(key ? sectionBytes + SLACK_BYTES : 0),
    values: take(value ? sectionBytes + SLACK_BYTES : 0),
    offsets: take(rows * 8),
    timestamps: take(timestampWords ? rows * 8 : 0),
    keyEnds: take(key ? rows * 4 : 0),
    valueEnds: take(value ? rows * 4 : 0),
    headers: take(headers ? rows * 12 : 0),
    keyNulls: take(key ? rows : 0),
    valueNulls: take(value ? rows : 0),
  };
  return { ...places, end };
}

function flagsOf({ key, value, headers, timestampWords }: MessageColumns, { logAppendTime }: BatchHeader): number {
  return (
    (key ? FLAG.keys : 0) |
    (value ? FLAG.values : 0) |
    (headers ? FLAG.headers : 0) |
    (timestampWords ? FLAG.timestamps : 0) |
    (logAppendTime ? 0 : FLAG.usesDeltas)
  );
}
