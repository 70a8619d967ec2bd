/**
 * The decoder of `avsc`, which trusts the bytes it reads: a length may lead back to where it was read, and a list may claim
 * more items than memory holds. Lists and maps are read here with both checked; rows are by whoever asks for them.
 */
import type { Type } from 'avsc';
import { messageOf } from '../../../errors.ts';
import { damaged } from './container.ts';

/** Items that take no byte, as nulls in a list do: a claim of more than so many is none that a file is written for. */
const MAX_EMPTY_ITEMS = 1_000;

/** What `avsc` reads from. */
interface Tap {
  readonly buf: Buffer;
  pos: number;
  readLong(): number;
  readString(): string | undefined;
}

interface Inner {
  _read(tap: Tap): unknown;
}

/** As `avsc` makes types of schemas; its typings have the constructors without arguments. */
type TypeConstructor = new (
  schema: unknown,
  options: object,
) => { readonly itemsType: Inner; readonly valuesType: Inner };

/** @throws OffloadError SOURCE_UNSUITABLE for a schema that is none. */
export async function decoderOf(file: string, schema: unknown): Promise<Type> {
  const { default: avro } = await import('avsc');
  // 64-bit integers are numbers where they are exact, else bigint.
  const long = avro.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => {
      const value = bytes.readInt32LE(4) * 2 ** 32 + bytes.readUInt32LE(0);
      return Number.isSafeInteger(value) ? value : bytes.readBigInt64LE();
    },
    toBuffer: () => {
      throw new TypeError('only for reading');
    },
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'number' || typeof value === 'bigint',
    compare: (left: bigint, right: bigint) => (left === right ? 0 : left < right ? -1 : 1),
  });
  const hook = (inner: unknown, options: object): unknown => {
    const type = (inner as { type?: unknown }).type;
    if (inner === 'long' || type === 'long') return long;
    if (type === 'array') return new CheckedList(inner, options);
    return type === 'map' ? new CheckedMap(inner, options) : undefined;
  };
  const { ArrayType, MapType } = avro.types as unknown as Record<'ArrayType' | 'MapType', TypeConstructor>;
  /** Every type reads itself by a method of this name, and others call it on what they hold. */
  class CheckedList extends ArrayType {
    _read(tap: Tap): unknown[] {
      return readList(tap, () => this.itemsType._read(tap));
    }
  }
  class CheckedMap extends MapType {
    _read(tap: Tap): Record<string, unknown> {
      return Object.fromEntries(readList(tap, () => [tap.readString() ?? '', this.valuesType._read(tap)] as const));
    }
  }
  try {
    return avro.Type.forSchema(schema as never, { typeHook: hook as never });
  } catch (error) {
    throw damaged(file, `its Avro schema is not valid (${messageOf(error)})`);
  }
}

/** Blocks of items up to one of none; a negative count is followed by the size of its block. */
function readList<Item>(tap: Tap, readItem: () => Item): Item[] {
  const items: Item[] = [];
  for (let count = tap.readLong(); count !== 0; count = tap.readLong()) {
    if (count < 0) {
      count = -count;
      tap.readLong();
    }
    const left = tap.buf.length - tap.pos;
    if (count > left + MAX_EMPTY_ITEMS)
      throw new RangeError(`a list claims ${count} items, and ${left} bytes are left`);
    for (; count > 0; count--) {
      const start = tap.pos;
      items.push(readItem());
      if (tap.pos < start || tap.pos > tap.buf.length)
        throw new RangeError('an item of a list does not end in its block');
    }
  }
  return items;
}
