/**
 * The tables of types in the README: what becomes of one value of each type in each format, by readers that share no code
 * with the writers, and which types columns of files get. KAFKALOAD_UPDATE_README=1 writes them.
 */
import { join } from 'node:path';
import { DataType, Field, makeData, RecordBatch, Schema, Struct, type Vector, vectorFromArray } from 'apache-arrow';
import avro from 'avsc';
import { Packr, Unpackr } from 'msgpackr';
import { afterAll, describe, test } from 'vitest';
import type { FileFormat } from '../../../src/config/formats.ts';
import { parseReaderOptions } from '../../../src/config/readerOptions.ts';
import type { ColumnType } from '../../../src/config/sparkSchema.ts';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import { loadFileFormat } from '../../../src/encode/fileFormat.ts';
import { OffloadError } from '../../../src/errors.ts';
import { arrowType, sqlType } from '../../../src/sources/files/columnTypes.ts';
import { readSchema } from '../../../src/sources/files/fileReader.ts';
import { hyparquetMetadata, joinedFile } from '../encode/files.ts';
import { fileOf } from '../encode/formatFiles.ts';
import { duckdb, temporaryFolder, WHOLE } from '../sources/filesHelper.ts';
import { expectTable, formatTable } from './readme.ts';

const folder = temporaryFolder();
afterAll(folder.remove);

const TEXT: ColumnType = 'VARCHAR';
const LIST: ColumnType = { kind: 'list', item: 'INTEGER' };
const STRUCT: ColumnType = { kind: 'struct', fields: [{ name: 'a', type: 'INTEGER' }] };
const MAP: ColumnType = { kind: 'map', key: TEXT, value: 'INTEGER' };
const DECIMAL: ColumnType = { kind: 'decimal', precision: 10, scale: 2 };
/** 2024-01-02 03:04:05 UTC in seconds. */
const MOMENT = 1_704_164_645n;
const OF_DAY = 3n * 3600n + 4n * 60n + 5n;

/** A column of each type with one value in it, as Arrow's buffers have it. */
const VALUES: readonly (readonly [ColumnType, unknown])[] = [
  ['BOOLEAN', true],
  ['TINYINT', -7],
  ['SMALLINT', -7],
  ['INTEGER', -7],
  ['BIGINT', 9_007_199_254_740_993n],
  ['HUGEINT', Uint32Array.of(1, 2, 0, 0)],
  ['UTINYINT', 7],
  ['USMALLINT', 7],
  ['UINTEGER', 4_000_000_000],
  ['UBIGINT', 18_446_744_073_709_551_615n],
  ['FLOAT', 0.1],
  ['DOUBLE', 0.1],
  [DECIMAL, Uint32Array.of(1250, 0, 0, 0)],
  [TEXT, 'é'],
  ['BLOB', Uint8Array.of(0, 255)],
  ['DATE', 19_724],
  ['TIME', OF_DAY * 1_000_000n],
  ['TIME_NS', OF_DAY * 1_000_000_000n],
  ['TIMESTAMP_S', MOMENT],
  ['TIMESTAMP_MS', MOMENT * 1_000n],
  ['TIMESTAMP', MOMENT * 1_000_000n],
  ['TIMESTAMP_NS', MOMENT * 1_000_000_000n + 1n],
  ['TIMESTAMPTZ', MOMENT * 1_000_000n + 600_000n],
  ['INTERVAL', Int32Array.of(14, 3, 0, 0)],
  [LIST, [1, 2]],
  [STRUCT, { a: 1 }],
  [MAP, new Map([['a', 1]])],
];

/** Numbers that stand in the buffer as they are given here: Arrow's own builders would count days and units. */
const FIXED: Readonly<Record<string, (value: never) => ArrayBufferView>> = {
  DATE: (value: number) => Int32Array.of(value),
  TIME: (value: bigint) => BigInt64Array.of(value),
  TIME_NS: (value: bigint) => BigInt64Array.of(value),
  TIMESTAMP_S: (value: bigint) => BigInt64Array.of(value),
  TIMESTAMP_MS: (value: bigint) => BigInt64Array.of(value),
  TIMESTAMP: (value: bigint) => BigInt64Array.of(value),
  TIMESTAMP_NS: (value: bigint) => BigInt64Array.of(value),
  TIMESTAMPTZ: (value: bigint) => BigInt64Array.of(value),
  HUGEINT: (value: Uint32Array) => value,
  [sqlType(DECIMAL)]: (value: Uint32Array) => value,
  INTERVAL: (value: Int32Array) => value,
};

function batchOf(type: ColumnType, value: unknown): RecordBatch {
  const arrow = arrowType(type);
  const fixed = FIXED[sqlType(type)];
  const data = fixed
    ? makeData({ type: arrow as never, length: 1, nullCount: 0, data: fixed(value as never) as never })
    : (vectorFromArray([value], arrow) as Vector).data[0];
  const schema = new Schema([new Field('x', arrow, true)]);
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: 1, children: [data as never] }));
}

describe('the README', () => {
  test('tells what becomes of a value of each type in each format', async () => {
    const rows = [];
    for (const [type, value] of VALUES) {
      const batch = batchOf(type, value);
      const file = (format: FileFormat, options = {}): Promise<Buffer> => fileOf(format, [batch], options);
      const line = async (format: FileFormat): Promise<string> => `${await file(format)}`.trimEnd();
      const json = /^\{"x":(.*)\}$/.exec(await line('json'))?.[1] ?? '';
      rows.push([
        shownType(type),
        shownArrow(batch.schema.fields[0]?.type as DataType),
        await orRefused(async () => parquetType(await parquetFile(batch))),
        `\`${json}\``,
        `\`${await line('csv')}\``,
        await orRefused(async () => avroType(await file('avro', { compression: 'null' }))),
        msgpackType(await file('msgpack')),
      ]);
    }
    expectTable('### Types\n', formatTable(['Type', 'Arrow', 'Parquet', 'JSON', 'CSV', 'Avro', 'MessagePack'], rows));
  });

  test('tells which types columns of files get', async () => {
    const rows: string[][] = [];
    let files = 0;
    for (const { format, options = {}, values } of SOURCES) {
      const types = new Map<string, string[]>();
      for (const [shown, content] of values) {
        const path = await content(`${files++}`);
        const input = parseReaderOptions(format, options);
        const { columns } = await readSchema(input, [path], WHOLE);
        const type = columns[0] ? shownType(columns[0].type) : 'none';
        const column = type === shown ? 'the same' : type;
        types.set(column, [...(types.get(column) ?? []), shown]);
      }
      const name = [format, ...Object.entries(options).map(([key, value]) => `\`${key}=${value}\``)].join(', ');
      for (const [type, shown] of types) rows.push([name, shown.join(', '), type]);
    }
    expectTable('Types that columns get', formatTable(['Format', 'In the file', 'Column'], rows));
  });
});

type MakeFile = (name: string) => string | Promise<string>;
type Sample = readonly [shown: string, make: MakeFile];

const written = (shown: string, content: string | Uint8Array): Sample => [
  `\`${shown}\``,
  (name) => folder.file(name, content),
];
const parquet = (type: string, value: string): Sample => [
  type,
  async (name) => {
    const path = join(folder.path, `${name}.parquet`);
    await duckdb(`COPY (SELECT ${value} AS x) TO '${path}' (FORMAT parquet)`);
    return path;
  },
];
const json = (value: string): Sample => written(value, `{"x":${value}}\n`);
const csv = (value: string): Sample => written(value, `${value}\n`);
const avroFile = (shown: string, type: unknown): Sample => [
  shown,
  (name) => {
    const header = avro.Type.forSchema({
      type: 'record',
      name: 'org.apache.avro.file.Header',
      fields: [
        { name: 'magic', type: { type: 'fixed', name: 'Magic', size: 4 } },
        { name: 'meta', type: { type: 'map', values: 'bytes' } },
        { name: 'sync', type: { type: 'fixed', name: 'Sync', size: 16 } },
      ],
    } as never);
    const schema = { type: 'record', name: 'R', fields: [{ name: 'x', type }] };
    const meta = { 'avro.schema': Buffer.from(JSON.stringify(schema)), 'avro.codec': Buffer.from('null') };
    return folder.file(name, header.toBuffer({ magic: Buffer.from('Obj\u0001'), meta, sync: Buffer.alloc(16) }));
  },
];
const packr = new Packr({ useRecords: false, useTimestamp32: true } as never);
const msgpack = (shown: string, value: unknown): Sample => [
  shown,
  (name) => folder.file(name, packr.pack({ x: value })),
];
const logical = (type: string, logicalType: string, more = {}): Sample =>
  avroFile(logicalType, { type, logicalType, ...more });

const SOURCES: readonly {
  readonly format: FileFormat;
  readonly options?: Record<string, string>;
  readonly values: readonly Sample[];
}[] = [
  {
    format: 'parquet',
    values: [
      ...['BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT'].map(
        (type) => parquet(type, `1::${type}`),
      ),
      ...['FLOAT', 'DOUBLE', 'DECIMAL(10,2)', 'VARCHAR', 'BLOB'].map((type) => parquet(type, `'1'::${type}`)),
      parquet('JSON', `'{}'::JSON`),
      parquet('UUID', 'uuid()'),
      parquet('ENUM', `'a'::ENUM('a')`),
      parquet('DATE', `DATE '2024-01-02'`),
      parquet('TIME', `TIME '03:04:05'`),
      parquet('TIMESTAMP(MILLIS)', `TIMESTAMP '2024-01-02'::TIMESTAMP_MS`),
      parquet('TIMESTAMP(MICROS)', `TIMESTAMP '2024-01-02'`),
      parquet('TIMESTAMP(NANOS)', `TIMESTAMP '2024-01-02'::TIMESTAMP_NS`),
      parquet('TIMESTAMP(MICROS, UTC)', `TIMESTAMPTZ '2024-01-02'`),
      parquet('INTERVAL', `INTERVAL 1 DAY`),
      parquet('LIST', '[1]'),
      parquet('struct', '{a: 1}'),
      parquet('MAP', `MAP {'a': 1}`),
    ],
  },
  {
    format: 'json',
    values: [
      ...['true', '7', '18446744073709551615', '0.5', '"text"', '"2024-01-02"', 'null', '[1]', '{"a":1}'].map(json),
    ],
  },
  { format: 'csv', values: ['true', '7', 'text'].map(csv) },
  {
    format: 'csv',
    options: { inferSchema: 'true' },
    values: ['true', '7', '5000000000', '0.5', '2024-01-02', '2024-01-02T03:04:05', 'text'].map(csv),
  },
  {
    format: 'avro',
    values: [
      ...['boolean', 'int', 'long', 'float', 'double', 'bytes'].map((type) => avroFile(type, type)),
      avroFile('fixed', { type: 'fixed', name: 'F', size: 2 }),
      logical('bytes', 'decimal', { precision: 10, scale: 2 }),
      avroFile('string', 'string'),
      avroFile('enum', { type: 'enum', name: 'E', symbols: ['A'] }),
      logical('string', 'uuid'),
      logical('int', 'date'),
      logical('int', 'time-millis'),
      logical('long', 'time-micros'),
      ...['millis', 'micros', 'nanos'].map((unit) => logical('long', `timestamp-${unit}`)),
      ...['millis', 'micros', 'nanos'].map((unit) => logical('long', `local-timestamp-${unit}`)),
      avroFile('array', { type: 'array', items: 'int' }),
      avroFile('record', { type: 'record', name: 'S', fields: [{ name: 'a', type: 'int' }] }),
      avroFile('map', { type: 'map', values: 'int' }),
    ],
  },
  {
    format: 'msgpack',
    values: [
      msgpack('bool', true),
      msgpack('integer', 7),
      msgpack('integer above 2^63', 18_446_744_073_709_551_615n),
      msgpack('float', 0.5),
      msgpack('str', 'text'),
      msgpack('nil', null),
      msgpack('bin', Buffer.of(1)),
      msgpack('timestamp', new Date(0)),
      msgpack('array', [1]),
      msgpack('map', { a: 1 }),
    ],
  },
  { format: 'text', values: [written('a line', 'a line\n')] },
];

function shownType(type: ColumnType): string {
  if (typeof type === 'string') return type;
  if (type.kind === 'list') return `${shownType(type.item)}[]`;
  return type.kind === 'decimal' ? 'DECIMAL(10,2)' : sqlType(type).replaceAll('"', '');
}

function shownArrow(type: DataType): string {
  if (DataType.isDecimal(type)) return `\`Decimal(${type.precision}, ${type.scale})\``;
  return `\`${type}\``;
}

async function orRefused(describeType: () => Promise<string>): Promise<string> {
  try {
    return await describeType();
  } catch (error) {
    if (error instanceof OffloadError && error.code === 'TARGET_UNSUITABLE') return 'refused';
    throw error;
  }
}

async function parquetFile(batch: RecordBatch): Promise<Buffer> {
  const files = await loadFileFormat(parseWriterOptions('parquet', {}));
  const { mark } = await files.start(batch.schema);
  const encoder = files.createEncoder(mark);
  const file = joinedFile([await encoder.encode(batch)]);
  encoder.free();
  return file;
}

/** Physical type and annotation of the first column, through hyparquet. */
function parquetType(file: Buffer): string {
  const { schema } = hyparquetMetadata(file);
  const { type, logical_type: logicalType, num_children: children, converted_type: converted } = schema[1] ?? {};
  const annotation = logicalType ? describeLogical(logicalType as never) : (converted ?? '');
  if (type === undefined && children !== undefined) return annotation === '' ? 'group' : annotation;
  return annotation === '' ? `${type}` : `${type}, ${annotation}`;
}

function describeLogical(logicalType: Readonly<Record<string, unknown>> & { readonly type: string }): string {
  const { type, bitWidth, isSigned, precision, scale, unit, isAdjustedToUTC } = logicalType;
  switch (type) {
    case 'INTEGER':
      return `${isSigned ? 'INT' : 'UINT'}(${bitWidth})`;
    case 'DECIMAL':
      return `DECIMAL(${precision},${scale})`;
    case 'TIME':
    case 'TIMESTAMP':
      return `${type}(${unit}${isAdjustedToUTC ? ', UTC' : ''})`;
    default:
      return type;
  }
}

/** The type in the schema that avsc finds in the file, without the null beside it. */
async function avroType(file: Buffer): Promise<string> {
  const decoder = new avro.streams.BlockDecoder();
  const schema = await new Promise<{ fields: readonly { type: unknown }[] }>((resolve, reject) => {
    decoder.on('metadata', (_type: unknown, _codec: unknown, header: { meta: Record<string, Buffer> }) =>
      resolve(JSON.parse(String(header.meta['avro.schema']))),
    );
    decoder.on('error', reject).on('data', () => {});
    decoder.end(file);
  });
  const [type] = (schema.fields[0] as { type: readonly unknown[] }).type;
  if (typeof type === 'string') return type;
  const { type: name, logicalType, precision, scale } = type as Readonly<Record<string, string | undefined>>;
  if (logicalType === undefined) return `${name}`;
  return `${name}, ${logicalType}${precision === undefined ? '' : `(${precision},${scale ?? 0})`}`;
}

/** What msgpackr finds. */
function msgpackType(file: Buffer): string {
  const { x } = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' } as never).unpack(file);
  if (Array.isArray(x)) return 'array';
  if (x instanceof Date) return 'timestamp';
  if (x instanceof Uint8Array) return 'bin';
  if (typeof x === 'number') return Number.isInteger(x) ? 'integer' : 'float';
  return { bigint: 'integer', string: 'str', boolean: 'bool', object: 'map' }[typeof x as string] ?? typeof x;
}
