/** What DuckDB is asked for each format: the columns a file has, and the query that reads them. */
import type { JsonInput } from '../../../config/readerOptions.ts';
import type { ColumnField, ColumnType } from '../../../config/sparkSchema.ts';
import { quoteName, quoteText, sameType, sqlType } from '../columnTypes.ts';
import { compressionOf } from '../compression.ts';
import type { OpenFileOptions } from '../fileTypes.ts';
import { unsuitable } from '../rowErrors.ts';
import { type Database, exportedType, literalPath } from './database.ts';

const LEAST_OBJECT_BYTES = 16 * 1024 * 1024;
const MOST_OBJECT_BYTES = 256 * 1024 * 1024;
/** Times in JSON are texts, and stay texts unless `schema` asks for more: a load must not change what they look like. */
const TEXT_IN_JSON = new Set<ColumnType>([
  'DATE',
  'TIME',
  'TIME_NS',
  'TIMESTAMP',
  'TIMESTAMP_NS',
  'TIMESTAMPTZ',
  'NULL',
]);

/** A query whose rows from `startRow` on are wanted; `castHere` are columns read as text, for us to cast. */
export interface Scan {
  readonly sql: string;
  readonly castHere: ReadonlyMap<number, ColumnType>;
  /** Counts the rows that the query leaves out as bad; null where it leaves out none. */
  readonly countDropped: string | null;
}

interface SourceColumn extends ColumnField {
  readonly isCast: boolean;
}

export async function parquetColumns(database: Database, file: string): Promise<SourceColumn[]> {
  return await describe(database, `SELECT * FROM ${parquetScan(file, '')}`, file);
}

export async function parquetQuery(
  database: Database,
  file: string,
  wanted: readonly ColumnField[],
  { startRow, endRow }: Pick<OpenFileOptions, 'startRow' | 'endRow'>,
): Promise<Scan> {
  const present = new Map((await parquetColumns(database, file)).map((column) => [column.name, column]));
  const expressions = wanted.map(({ name, type }) => {
    const column = present.get(name);
    if (column === undefined) return `CAST(NULL AS ${sqlType(type)})`;
    const isCast = column.isCast || !sameType(column.type, type);
    return isCast ? `CAST(${quoteName(name)} AS ${sqlType(type)})` : quoteName(name);
  });
  const list = expressions.length === 0 ? 'NULL' : expressions.join(', ');
  // DuckDB skips row groups by the row number it makes up, unless the file has a column of that name.
  const limit = endRow === undefined ? '' : ` LIMIT ${endRow - startRow}`;
  const before = endRow === undefined ? '' : ` AND file_row_number < ${endRow}`;
  const sql = [...present.keys()].some((name) => name.toLowerCase() === 'file_row_number')
    ? `SELECT ${list} FROM ${parquetScan(file, '')}${limit} OFFSET ${startRow}`
    : `SELECT ${list} FROM ${parquetScan(file, ', file_row_number = true')} WHERE file_row_number >= ${startRow}${before}`;
  return { sql, castHere: new Map(), countDropped: null };
}

function parquetScan(file: string, options: string): string {
  return `read_parquet(${literalPath(file)}, hive_partitioning = false${options})`;
}

/** Columns of all records of the file: a first pass over it. */
export async function jsonColumns(
  database: Database,
  input: JsonInput,
  file: string,
  memoryLimitBytes: number,
): Promise<SourceColumn[]> {
  const options = jsonOptions(input, file, memoryLimitBytes);
  const scan = `read_json(${options}, sample_size = -1, map_inference_threshold = -1, records = true)`;
  const first = `read_json(${options}, auto_detect = false, records = false, columns = {'json': 'JSON'}) LIMIT 1`;
  const rows = await database.connection.runAndReadAll(`SELECT 1 FROM ${first}`);
  if (rows.currentRowCount === 0) return [];
  const columns = await describe(database, `SELECT * FROM ${scan}`, file);
  const found = columns.map(({ name, type }) => ({ name, type: jsonType(type), isCast: false }));
  return await narrowed(database, options, found);
}

/**
 * DuckDB takes HUGEINT for a column as soon as it has seen a positive and a negative integer. Where all values are the
 * same read as BIGINT, it is that.
 */
async function narrowed(database: Database, options: string, columns: SourceColumn[]): Promise<SourceColumn[]> {
  const wide = columns.filter(({ type }) => !sameType(type, withoutHuge(type)));
  if (wide.length === 0) return columns;
  const lenient = options.replace('ignore_errors = false', 'ignore_errors = true');
  const sums = async (typeOf: (type: ColumnType) => ColumnType): Promise<readonly unknown[]> => {
    const list = wide.map(({ name }) => `sum(hash(to_json(${quoteName(name)})::VARCHAR)::HUGEINT)`).join(', ');
    const spec = columnSpec(wide.map(({ name, type }) => ({ name, type: typeOf(type) })));
    const sql = `SELECT ${list} FROM read_json(${lenient}, auto_detect = false, records = true, columns = ${spec})`;
    return (await database.connection.runAndReadAll(sql)).getRows()[0] ?? [];
  };
  const asHuge = await sums((type) => type);
  const asBig = await sums(withoutHuge);
  return columns.map((column) => {
    const at = wide.indexOf(column);
    return at >= 0 && asHuge[at] === asBig[at] ? { ...column, type: withoutHuge(column.type) } : column;
  });
}

function withoutHuge(type: ColumnType): ColumnType {
  if (typeof type === 'string') return type === 'HUGEINT' ? 'BIGINT' : type;
  switch (type.kind) {
    case 'list':
      return { kind: 'list', item: withoutHuge(type.item) };
    case 'struct':
      return { kind: 'struct', fields: type.fields.map((field) => ({ ...field, type: withoutHuge(field.type) })) };
    default:
      return type;
  }
}

/** The value of the option `columns`. */
function columnSpec(columns: readonly ColumnField[]): string {
  return `{${columns.map(({ name, type }) => `${quoteText(name)}: ${quoteText(sqlType(type))}`).join(', ')}}`;
}

function jsonType(type: ColumnType): ColumnType {
  if (typeof type === 'string') return TEXT_IN_JSON.has(type) ? 'VARCHAR' : type;
  switch (type.kind) {
    case 'list':
      return { kind: 'list', item: jsonType(type.item) };
    case 'struct':
      return { kind: 'struct', fields: type.fields.map((field) => ({ ...field, type: jsonType(field.type) })) };
    default:
      return type;
  }
}

export function jsonQuery(
  input: JsonInput,
  file: string,
  wanted: readonly ColumnField[],
  startRow: number,
  memoryLimitBytes: number,
): Scan {
  const castHere = new Map<number, ColumnType>();
  const readAs = wanted.map(({ name, type }, column) => {
    const pattern = type === 'DATE' ? input.dateFormat : input.timestampFormat;
    if ((type === 'DATE' || type === 'TIMESTAMP' || type === 'TIMESTAMPTZ') && pattern !== null) {
      castHere.set(column, type);
      return { name, type: 'VARCHAR' as const };
    }
    return { name, type: type === 'BLOB' ? ('VARCHAR' as const) : type };
  });
  const options = jsonOptions(input, file, memoryLimitBytes);
  const records = `read_json(${options}, auto_detect = false, records = true, columns = ${columnSpec(readAs)})`;
  const list = wanted
    .map(({ name, type }) => (type === 'BLOB' ? `from_base64(${quoteName(name)})` : quoteName(name)))
    .join(', ');
  if (input.mode !== 'DROPMALFORMED') {
    return { sql: `SELECT ${list} FROM ${records} OFFSET ${startRow}`, castHere, countDropped: null };
  }
  // The same records once as columns and once as they stand: where only the column is null, it could not be read.
  const raw = `read_json(${options}, auto_detect = false, records = false, columns = {'__json': 'JSON'})`;
  const bad = [
    '__json IS NULL',
    "json_type(__json) <> 'OBJECT'",
    ...wanted.map(({ name }) => `(${quoteName(name)} IS NULL AND ${jsonValue(name)} <> 'NULL')`),
  ].join(' OR ');
  const both = `(SELECT * FROM ${records} POSITIONAL JOIN ${raw})`;
  return {
    sql: `SELECT ${list} FROM ${both} WHERE (${bad}) IS NOT TRUE OFFSET ${startRow}`,
    castHere,
    countDropped: `SELECT count(*) FROM ${both} WHERE (${bad}) IS TRUE`,
  };
}

function jsonValue(name: string): string {
  return `json_type(__json, ${quoteText(`$."${name.replaceAll('"', '\\"')}"`)})`;
}

function jsonOptions(input: JsonInput, file: string, memoryLimitBytes: number): string {
  const compression = { none: 'uncompressed', gzip: 'gzip', zstd: 'zstd' }[compressionOf(input.compression, file)];
  const objectBytes = Math.min(MOST_OBJECT_BYTES, Math.max(LEAST_OBJECT_BYTES, Math.floor(memoryLimitBytes / 8)));
  return [
    literalPath(file),
    `format = '${input.multiLine ? 'auto' : 'newline_delimited'}'`,
    `compression = '${compression}'`,
    `maximum_object_size = ${objectBytes}`,
    `ignore_errors = ${input.mode !== 'FAILFAST'}`,
    'hive_partitioning = false',
  ].join(', ');
}

async function describe(database: Database, sql: string, file: string): Promise<SourceColumn[]> {
  const result = await database.connection.run(`${sql} LIMIT 0`);
  const names = result.columnNames();
  const columns: SourceColumn[] = [];
  for (const [i, source] of result.columnTypes().entries()) {
    const name = names[i] as string;
    const exported = exportedType(source);
    if (typeof exported === 'string') {
      throw unsuitable(
        `cannot read column ${name} of ${file}: it is of type ${source.toString()}, and ${exported} has no counterpart in Arrow; leave it out with the option schema`,
        { path: file, column: name },
      );
    }
    columns.push({ name, ...exported });
  }
  return columns;
}
