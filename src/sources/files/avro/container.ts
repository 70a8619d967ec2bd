/** Avro object container files: a header with the schema, then blocks of records (Avro 1.12, "Object Container Files"). */
import zlib from 'node:zlib';
import { crc32 } from '@node-rs/crc32';
import snappy from 'snappy';
import { snappyBound, zstdFrames } from '../../../decode/bounds.ts';
import { messageOf, OffloadError } from '../../../errors.ts';
import { fileBytes } from '../fileBytes.ts';
import type { OpenFileOptions } from '../fileTypes.ts';

const MAGIC = Buffer.from([0x4f, 0x62, 0x6a, 0x01]);
const SYNC_BYTES = 16;
/** A header has the schema and a few names. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/** Rows that take no byte, with nothing but nulls: a block that claims more of them than so many is damaged. */
const MAX_EMPTY_ROWS = 1_000_000;

export interface AvroBlock {
  readonly records: number;
  /** Inflated. */
  readonly bytes: Buffer;
}

export interface AvroContainer {
  readonly schema: unknown;
  blocks(): AsyncGenerator<AvroBlock, void, undefined>;
  close(): Promise<void>;
}

/** @returns null for an empty file. */
export async function openContainer(
  file: string,
  options: Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>,
): Promise<AvroContainer | null> {
  const input = new Input(file, fileBytes(file, { ...options, compression: 'none' }), options.memoryLimitBytes);
  try {
    return await open(file, input);
  } catch (error) {
    await input.close();
    throw error;
  }
}

async function open(file: string, input: Input): Promise<AvroContainer | null> {
  if (!(await input.has(1))) return null;
  if (!(await input.has(MAGIC.length)) || !input.take(MAGIC.length).equals(MAGIC)) {
    throw damaged(file, 'it is no Avro object container file, which begins with "Obj" and 1');
  }
  const metadata = new Map<string, Buffer>();
  for (let count = await input.long(); count !== 0; count = await input.long()) {
    // A negative count is followed by the size of the block in bytes.
    if (count < 0) await input.long();
    for (let i = 0; i < Math.abs(count); i++) {
      const key = await input.bytes(MAX_HEADER_BYTES);
      metadata.set(key.toString(), Buffer.from(await input.bytes(MAX_HEADER_BYTES)));
    }
  }
  const sync = Buffer.from(await input.exactly(SYNC_BYTES));
  const codec = metadata.get('avro.codec')?.toString() ?? 'null';
  let schema: unknown;
  try {
    schema = JSON.parse(metadata.get('avro.schema')?.toString() ?? '');
  } catch (error) {
    throw damaged(file, `its schema is no JSON (${messageOf(error)})`);
  }
  return { schema, blocks: () => blocks(file, input, codec, sync), close: () => input.close() };
}

async function* blocks(
  file: string,
  input: Input,
  codec: string,
  sync: Buffer,
): AsyncGenerator<AvroBlock, void, undefined> {
  while (await input.has(1)) {
    const records = await input.long();
    if (records < 0) throw damaged(file, `a block claims ${records} rows`);
    const compressed = await input.bytes(input.limit);
    const bytes = await inflate(file, codec, Buffer.from(compressed), input.limit);
    if (!(await input.exactly(SYNC_BYTES)).equals(sync)) {
      throw damaged(file, `the block that ends at byte ${input.position} is not followed by the sync marker`);
    }
    if (records > bytes.length + MAX_EMPTY_ROWS) {
      throw damaged(file, `a block claims ${records} rows in ${bytes.length} bytes`);
    }
    yield { records, bytes };
  }
}

async function inflate(file: string, codec: string, bytes: Buffer, limit: number): Promise<Buffer> {
  const allow = (inflatedBytes: number): void => {
    if (inflatedBytes > limit) throw new RangeError(`to ${inflatedBytes} bytes, and ${limit} are allowed`);
  };
  try {
    switch (codec) {
      case 'null':
        return bytes;
      case 'deflate':
        return zlib.inflateRawSync(bytes, { maxOutputLength: limit });
      case 'snappy': {
        allow(snappyBound(bytes));
        const inflated = (await snappy.uncompress(bytes.subarray(0, -4))) as Buffer;
        if (crc32(inflated) !== bytes.readUInt32BE(bytes.length - 4)) throw new RangeError('its checksum is another');
        return inflated;
      }
      case 'zstandard':
        allow(zstdFrames(bytes).reduce((sum, { maxBytes }) => sum + maxBytes, 0));
        return await (await import('@mongodb-js/zstd')).decompress(bytes);
    }
  } catch (error) {
    throw damaged(file, `a block of ${bytes.length} bytes does not inflate as ${codec} (${messageOf(error)})`);
  }
  throw new OffloadError(
    'SOURCE_UNSUITABLE',
    `cannot read ${file}: its codec is ${codec}; null, deflate, snappy and zstandard can be read`,
    { context: { path: file, codec } },
  );
}

export function damaged(file: string, why: string): OffloadError {
  return new OffloadError('SOURCE_UNSUITABLE', `cannot read ${file}: ${why}`, { context: { path: file } });
}

/** Bytes of the file from a position that only moves on. */
class Input {
  readonly limit: number;
  position = 0;
  readonly #file: string;
  readonly #pieces: AsyncGenerator<Buffer, void, undefined>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string, pieces: AsyncGenerator<Buffer, void, undefined>, limit: number) {
    this.#file = file;
    this.#pieces = pieces;
    this.limit = limit;
  }

  async has(count: number): Promise<boolean> {
    if (this.#rest.length >= count) return true;
    const parts = [this.#rest];
    let length = this.#rest.length;
    while (length < count) {
      const { value, done } = await this.#pieces.next();
      if (done === true || value === undefined) break;
      parts.push(value);
      length += value.length;
    }
    this.#rest = Buffer.concat(parts);
    return length >= count;
  }

  /** Valid until the next call. */
  take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    this.position += count;
    return taken;
  }

  async exactly(count: number): Promise<Buffer> {
    if (!(await this.has(count)))
      throw damaged(this.#file, `it ends at byte ${this.position + this.#rest.length}, in the middle of a block`);
    return this.take(count);
  }

  /** A zigzag varint, which counts and sizes keep below 2^53. */
  async long(): Promise<number> {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      const byte = (await this.exactly(1))[0] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= 128;
    }
    throw damaged(this.#file, `the number at byte ${this.position} is too large`);
  }

  async bytes(limit: number): Promise<Buffer> {
    const count = await this.long();
    if (count < 0 || count > limit) {
      throw damaged(
        this.#file,
        `${count} bytes are said to follow byte ${this.position}, and ${limit} are allowed; raise --max-memory if the file is sound`,
      );
    }
    return await this.exactly(count);
  }

  async close(): Promise<void> {
    await this.#pieces.return();
  }
}
