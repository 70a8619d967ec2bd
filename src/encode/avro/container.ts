/**
 * Avro object container files: a header with schema, codec and a sync marker, then blocks that each end in the marker.
 *
 * @see https://avro.apache.org/docs/1.12.0/specification/#object-container-files
 */
import { deflateRawSync } from 'node:zlib';
import { crc32 } from '@node-rs/crc32';
import snappy from 'snappy';
import type { AvroCodec } from '../../config/writerOptions.ts';
import { ByteWriter } from '../output/byteWriter.ts';
import { zstdModule } from '../output/compression.ts';
import type { SealBlock } from '../output/rowEncoder.ts';
import type { AvroType } from './avroSchema.ts';
import { putInt } from './varint.ts';

const AVRO_MAGIC = Buffer.from('Obj\u0001');
export const SYNC_BYTES = 16;
const ZSTD_LEVEL = 3;

/** Two varints. */
const HEAD_BYTES = 16;

/** Checksum bytes behind a Snappy block: CRC-32 of what was compressed, big-endian. */
const SNAPPY_CRC_BYTES = 4;

const COMPRESS: Readonly<Record<AvroCodec, (block: Buffer) => Uint8Array | Promise<Uint8Array>>> = {
  null: (block) => block,
  deflate: (block) => deflateRawSync(block),
  snappy: (block) => {
    const checksum = Buffer.alloc(SNAPPY_CRC_BYTES);
    checksum.writeUInt32BE(crc32(block));
    return Buffer.concat([snappy.compressSync(block, { copyOutputData: true }), checksum]);
  },
  zstandard: async (block) => (await zstdModule()).compress(Buffer.from(block), ZSTD_LEVEL),
};

/** A block: number of rows, bytes, the rows, the marker. */
export function sealAvroBlock(codec: AvroCodec, mark: Uint8Array): SealBlock {
  return async (block, rows) => {
    const compressed = await COMPRESS[codec](block);
    const head = new ByteWriter(HEAD_BYTES);
    putInt(head, rows);
    putInt(head, compressed.length);
    return [head.written(), compressed, mark];
  };
}

export function avroHeader(schema: AvroType, codec: AvroCodec, mark: Uint8Array): Buffer {
  const out = new ByteWriter();
  const putText = (text: string): void => {
    const bytes = Buffer.from(text);
    putInt(out, bytes.length);
    out.put(bytes);
  };
  out.put(AVRO_MAGIC);
  putInt(out, 2);
  putText('avro.schema');
  putText(JSON.stringify(schema));
  putText('avro.codec');
  putText(codec);
  putInt(out, 0);
  out.put(mark);
  return Buffer.from(out.written());
}

export interface AvroHeader {
  readonly schema: unknown;
  readonly codec: string;
  readonly mark: Buffer;
  /** Where the first block begins. */
  readonly end: number;
}

/**
 * Reads the header of a container file.
 *
 * @param bytes The beginning of the file.
 * @throws RangeError saying what is wrong; also when the header is longer than `bytes`.
 */
export function parseAvroHeader(bytes: Buffer): AvroHeader {
  if (!bytes.subarray(0, AVRO_MAGIC.length).equals(AVRO_MAGIC)) throw new RangeError('it does not begin with Obj1');
  const metadata = new Map<string, Buffer>();
  let position = AVRO_MAGIC.length;
  const long = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[position++];
      if (byte === undefined || factor > 2 ** 42) throw new RangeError('its header is damaged or too long');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  };
  const take = (length: number): Buffer => {
    if (length < 0 || position + length > bytes.length) throw new RangeError('its header is damaged or too long');
    position += length;
    return bytes.subarray(position - length, position);
  };
  for (let entries = long(); entries !== 0; entries = long()) {
    // A negative number of entries is followed by their size.
    if (entries < 0) long();
    for (let i = 0; i < Math.abs(entries); i++) {
      const key = take(long()).toString();
      metadata.set(key, take(long()));
    }
  }
  const mark = Buffer.from(take(SYNC_BYTES));
  let schema: unknown;
  try {
    schema = JSON.parse(metadata.get('avro.schema')?.toString() ?? '');
  } catch {
    throw new RangeError('its header has no schema that can be read');
  }
  return { schema, codec: metadata.get('avro.codec')?.toString() ?? 'null', mark, end: position };
}
