import type { ColumnField } from '../../../config/sparkSchema.ts';
import { messageOf, OffloadError } from '../../../errors.ts';
import type { FileBatch, OpenFileOptions } from '../fileTypes.ts';
import { rowBatches } from '../rowBatches.ts';
import { unsuitable } from '../rowErrors.ts';
import { type AvroType, avroType, type FromAvro } from './avroSchema.ts';
import { type AvroContainer, damaged, openContainer } from './container.ts';
import { decoderOf } from './decoder.ts';

type ReadOptions = Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>;
type Row = ReadonlyMap<string, unknown>;

interface RecordType {
  readonly columns: readonly ColumnField[];
  readonly convert: FromAvro;
}

/** Of a block that are decoded before they are handed on. */
const MAX_ROWS = 10_000;

/** @returns None for an empty file. */
export async function avroColumns(file: string, options: ReadOptions): Promise<readonly ColumnField[]> {
  const container = await openContainer(file, options);
  if (container === null) return [];
  await container.close();
  return recordType(file, container).columns;
}

function recordType(file: string, { schema }: AvroContainer): RecordType {
  const { type, convert } = columnsOf(file, schema);
  if (typeof type === 'string' || type.kind !== 'struct') {
    throw unsuitable(`cannot read ${file}: its Avro schema is no record`, { path: file });
  }
  return { columns: type.fields, convert };
}

function columnsOf(file: string, schema: unknown): AvroType {
  try {
    return avroType(schema, (path, what) => {
      const column = path.slice(1);
      throw unsuitable(`cannot read column ${column} of ${file}: it is ${what}, which has no counterpart in Arrow`, {
        path: file,
        column,
      });
    });
  } catch (error) {
    if (error instanceof OffloadError) throw error;
    // A list of fields that is no list, and the like.
    throw damaged(file, `its Avro schema is not valid (${messageOf(error)})`);
  }
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
  for await (const { records, bytes } of container.blocks()) {
    let decoded: Row[] = [];
    let offset = 0;
    for (let i = 0; i < records; i++) {
      row += 1;
      const start = offset;
      let value: unknown;
      try {
        ({ value, offset } = type.decode(bytes, start));
      } catch (error) {
        throw damaged(file, `row ${row} cannot be decoded (${messageOf(error)})`);
      }
      // A length that is negative leads back.
      if (offset < start) throw damaged(file, `its block ends in the middle of row ${row}`);
      decoded.push(convert(value) as Row);
      if (decoded.length === MAX_ROWS) {
        yield decoded;
        decoded = [];
      }
    }
    if (offset !== bytes.length) {
      throw damaged(file, `${bytes.length - offset} bytes are left in a block after its ${records} rows`);
    }
    yield decoded;
  }
}
