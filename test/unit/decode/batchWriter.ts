import zlib from 'node:zlib';
import { compress as zstdCompress } from '@mongodb-js/zstd';
import { crc32c } from '@node-rs/crc32';
import { compressFrameSync } from 'lz4-napi';
import snappy from 'snappy';

/** A record as a producer has it. */
export interface RecordInput {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: readonly (readonly [string | Buffer, Buffer | null])[];
  readonly timestamp?: bigint;
  /** Defaults to the record's place in the batch: set it to leave gaps. */
  readonly offsetDelta?: number;
}

export type CodecName = 'none' | 'gzip' | 'snappy' | 'xerial' | 'lz4' | 'zstd';

export interface BatchInput {
  readonly baseOffset?: number;
  readonly codec?: CodecName;
  readonly logAppendTime?: boolean;
  readonly maxTimestamp?: bigint;
  readonly producerId?: bigint;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Defaults to the offset delta of the last record. */
  readonly lastOffsetDelta?: number;
  /** Defaults to the number of records given. */
  readonly recordCount?: number;
  /** Takes the place of the records as the section before compression. */
  readonly section?: Buffer;
  /** Takes the place of the compressed section. */
  readonly compressed?: Buffer;
  readonly magic?: number;
}

const CODEC_IDS: Record<CodecName, number> = { none: 0, gzip: 1, snappy: 2, xerial: 2, lz4: 3, zstd: 4 };

/** Writes one record batch of magic 2, for tests and benches; shares no code with the decoder but the CRC. */
export async function writeBatch(records: readonly RecordInput[], batch: BatchInput = {}): Promise<Buffer> {
  const codec = batch.codec ?? 'none';
  const baseTimestamp = records[0]?.timestamp ?? -1n;
  const section = batch.section ?? Buffer.concat(records.map((record, i) => writeRecord(record, i, baseTimestamp)));
  const compressed = batch.compressed ?? (await compress(codec, section));
  const timestamps = records.map((record) => record.timestamp ?? -1n);
  const header = Buffer.alloc(61);
  header.writeBigInt64BE(BigInt(batch.baseOffset ?? 0), 0);
  header.writeInt32BE(header.length - 12 + compressed.length, 8);
  header.writeInt8(batch.magic ?? 2, 16);
  const attributes =
    CODEC_IDS[codec] | (batch.logAppendTime ? 8 : 0) | (batch.transactional ? 16 : 0) | (batch.control ? 32 : 0);
  header.writeInt16BE(attributes, 21);
  const last = records.at(-1)?.offsetDelta ?? Math.max(0, records.length - 1);
  header.writeInt32BE(batch.lastOffsetDelta ?? last, 23);
  header.writeBigInt64BE(baseTimestamp, 27);
  header.writeBigInt64BE(batch.maxTimestamp ?? latest(timestamps), 35);
  header.writeBigInt64BE(batch.producerId ?? -1n, 43);
  header.writeInt16BE(-1, 51);
  header.writeInt32BE(-1, 53);
  header.writeInt32BE(batch.recordCount ?? records.length, 57);
  const bytes = Buffer.concat([header, compressed]);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

function latest(timestamps: readonly bigint[]): bigint {
  let max = -1n;
  for (const timestamp of timestamps) if (timestamp > max) max = timestamp;
  return max;
}

/** The control batch that ends a transaction. */
export function writeMarker(kind: 'abort' | 'commit', baseOffset: number, producerId: bigint): Promise<Buffer> {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]);
  const value = Buffer.alloc(6);
  return writeBatch([{ key, value }], { baseOffset, producerId, transactional: true, control: true });
}

function writeRecord(record: RecordInput, index: number, baseTimestamp: bigint): Buffer {
  const parts = [
    Buffer.from([0]),
    varint((record.timestamp ?? -1n) - baseTimestamp),
    varint(record.offsetDelta ?? index),
    ...bytesWithLength(record.key),
    ...bytesWithLength(record.value),
    varint(record.headers?.length ?? 0),
  ];
  for (const [key, value] of record.headers ?? []) {
    parts.push(...bytesWithLength(typeof key === 'string' ? Buffer.from(key) : key), ...bytesWithLength(value));
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([varint(body.length), body]);
}

function bytesWithLength(bytes: Buffer | null): Buffer[] {
  return bytes === null ? [varint(-1)] : [varint(bytes.length), bytes];
}

/** A zigzag varint; 64-bit arithmetic wraps as in Java. */
export function varint(value: number | bigint): Buffer {
  const signed = BigInt(value);
  let rest = BigInt.asUintN(64, (signed << 1n) ^ (BigInt.asIntN(64, signed) >> 63n));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

async function compress(codec: CodecName, section: Buffer): Promise<Buffer> {
  switch (codec) {
    case 'none':
      return section;
    case 'gzip':
      return zlib.gzipSync(section);
    case 'snappy':
      return snappy.compressSync(section);
    case 'xerial':
      return xerial(section);
    case 'lz4':
      return compressFrameSync(section);
    case 'zstd':
      return zstdCompress(section);
  }
}

/** Snappy as Java frames it, with small blocks so that even short sections have several. */
export function xerial(section: Buffer, blockBytes = 1024): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')];
  for (let start = 0; start < section.length; start += blockBytes) {
    const block = snappy.compressSync(section.subarray(start, start + blockBytes));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}
