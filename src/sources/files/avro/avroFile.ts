import type { Type } from 'avsc';
import type { ColumnField } from '../../../config/sparkSchema.ts';
import { messageOf } from '../../../errors.ts';
import type { FileBatch, OpenFileOptions } from '../fileTypes.ts';
import { rowBatches } from '../rowBatches.ts';
import { unsuitable } from '../rowErrors.ts';
import { avroType, type FromAvro } from './avroSchema.ts';
import { type AvroContainer, damaged, openContainer } from './container.ts';

type ReadOptions = Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>;
type Row = ReadonlyMap<string, unknown>;

interface RecordType {
  readonly columns: readonly ColumnField[];
  readonly convert: FromAvro;
}

/** @returns None for an empty file. */
export async function avroColumns(file: string, options: ReadOptions): Promise<readonly ColumnField[]> {
  const container = await openContainer(file, options);
  if (container === null) return [];
  await container.close();
  return recordType(file, container).columns;
}

function recordType(file: string, { schema }: AvroContainer): RecordType {
  const { type, convert } = avroType(schema, (path, what) => {
    const column = path.slice(1);
    throw unsuitable(`cannot read column ${column} of ${file}: it is ${what}, which has no counterpart in Arrow`, {
      path: file,
      column,
    });
  });
  if (typeof type === 'string' || type.kind !== 'struct') {
    throw unsuitable(`cannot read ${file}: its Avro schema is no record`, { path: file });
  }
  return { columns: type.fields, convert };
}

export async function* readAvroFile(
  file: string,
  columns: readonly ColumnField[],
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const container = await openContainer(file, options);
  if (container === null) return;
  try {
    const valueIn = (row: Row, column: number): unknown => row.get(columns[column]?.name ?? '');
    yield* rowBatches(rows(file, container), columns, valueIn, () => null, file, 'FAILFAST', options);
  } finally {
    await container.close();
  }
}

async function* rows(file: string, container: AvroContainer): AsyncGenerator<Row[], void, undefined> {
  const { convert } = recordType(file, container);
  const type = await decoderOf(file, container.schema);
  let row = 0;
  for await (const block of container.blocks()) {
    const decoded: Row[] = [];
    let offset = 0;
    for (let i = 0; i < block.records; i++) {
      row += 1;
      let value: unknown;
      try {
        ({ value, offset } = type.decode(block.bytes, offset));
      } catch (error) {
        throw damaged(file, `row ${row} cannot be decoded (${messageOf(error)})`);
      }
      if (offset < 0) throw damaged(file, `its block ends in the middle of row ${row}`);
      decoded.push(convert(value) as Row);
    }
    yield decoded;
  }
}

/** The decoder of `avsc`, with 64-bit integers as numbers where they are exact, else as bigint. */
async function decoderOf(file: string, schema: unknown): Promise<Type> {
  const { default: avro } = await import('avsc');
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
  try {
    return avro.Type.forSchema(schema as never, {
      typeHook: (inner) =>
        (inner === 'long' || (inner as { type?: unknown }).type === 'long' ? long : undefined) as never,
    });
  } catch (error) {
    throw damaged(file, `its Avro schema is not valid (${messageOf(error)})`);
  }
}
