/** An in-memory DuckDB for reading one file, in rows of file order. */
import type { DuckDBConnection, DuckDBInstance, DuckDBType } from '@duckdb/node-api';
import type { ColumnType, ScalarType } from '../../../config/sparkSchema.ts';
import { messageOf } from '../../../errors.ts';
import { duckdbApi } from './packages.ts';
import { loadVectorApi } from './vectorApi.ts';

/** DuckDB allocates 32 MiB at once for a file it reads, and fails where its limit has no room for two. */
const LEAST_MEMORY_BYTES = 64 * 1024 * 1024;

export interface Database {
  readonly connection: DuckDBConnection;
  close(): void;
}

export async function openDatabase(memoryLimitBytes: number): Promise<Database> {
  loadVectorApi();
  const instance: DuckDBInstance = await duckdbApi().DuckDBInstance.create(':memory:', {
    // One thread and the order of the file: row N is the same row whenever the file is read.
    threads: '1',
    preserve_insertion_order: 'true',
    memory_limit: `${Math.ceil(Math.max(memoryLimitBytes, LEAST_MEMORY_BYTES) / 1024)}KiB`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    temp_directory: '',
  });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return {
    connection,
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** DuckDB reads `*`, `?` and `[` in the name of a file as a glob. */
export function literalPath(path: string): string {
  return `'${path.replace(/[*?[]/g, '[$&]').replaceAll("'", "''")}'`;
}

/** The first line of what DuckDB says, without the kind of error in front. */
export function duckdbReason(error: unknown): string {
  const [first = ''] = messageOf(error).split('\n');
  return first.replace(/^[A-Z][A-Za-z ]* Error: /, '');
}

/** Types that DuckDB casts to text before they leave it. */
const AS_TEXT = new Set(['UUID', 'ENUM', 'BIT', 'BIGNUM', 'TIME_TZ']);
const RENAMED: Readonly<Record<string, ScalarType>> = {
  SQLNULL: 'NULL',
  TIMESTAMP_TZ: 'TIMESTAMPTZ',
  // Beyond 127 bits the cast fails, and the message names the value.
  UHUGEINT: 'HUGEINT',
};
const DIRECT = new Set<string>([
  'BOOLEAN',
  'TINYINT',
  'SMALLINT',
  'INTEGER',
  'BIGINT',
  'HUGEINT',
  'UTINYINT',
  'USMALLINT',
  'UINTEGER',
  'UBIGINT',
  'FLOAT',
  'DOUBLE',
  'VARCHAR',
  'BLOB',
  'DATE',
  'TIME',
  'TIME_NS',
  'TIMESTAMP_S',
  'TIMESTAMP_MS',
  'TIMESTAMP',
  'TIMESTAMP_NS',
  'INTERVAL',
] satisfies ScalarType[]);

/**
 * The type in which values of a DuckDB type leave it, and whether a cast is needed for that.
 *
 * @returns The name of the type where there is none.
 */
export function exportedType(type: DuckDBType): { type: ColumnType; isCast: boolean } | string {
  const { DuckDBTypeId } = duckdbApi();
  const visit = (inner: DuckDBType): { type: ColumnType; isCast: boolean } => {
    const name = DuckDBTypeId[inner.typeId] as string;
    if (AS_TEXT.has(name)) return { type: 'VARCHAR', isCast: true };
    const renamed = RENAMED[name];
    if (renamed !== undefined) return { type: renamed, isCast: name === 'UHUGEINT' };
    if (DIRECT.has(name)) return { type: name as ScalarType, isCast: false };
    if ('width' in inner && 'scale' in inner) {
      return { type: { kind: 'decimal', precision: inner.width, scale: inner.scale }, isCast: false };
    }
    if (name === 'MAP' && 'keyType' in inner) {
      const key = visit(inner.keyType);
      const value = visit(inner.valueType);
      return { type: { kind: 'map', key: key.type, value: value.type }, isCast: key.isCast || value.isCast };
    }
    if ((name === 'LIST' || name === 'ARRAY') && 'valueType' in inner) {
      const item = visit(inner.valueType);
      return { type: { kind: 'list', item: item.type }, isCast: item.isCast || name === 'ARRAY' };
    }
    if (name === 'STRUCT' && 'entryNames' in inner) {
      const types = inner.entryTypes.map(visit);
      const fields = inner.entryNames.map((fieldName, i) => ({
        name: fieldName,
        type: (types[i] as { type: ColumnType }).type,
      }));
      return { type: { kind: 'struct', fields }, isCast: types.some(({ isCast }) => isCast) };
    }
    throw new UnknownType(name);
  };
  try {
    return visit(type);
  } catch (error) {
    if (error instanceof UnknownType) return error.message;
    throw error;
  }
}

class UnknownType extends Error {}
