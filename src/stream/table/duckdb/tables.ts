/** The table of a stream and that of its positions in DuckDB: made, and given the columns they lack. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Field, Schema } from 'apache-arrow';
import { OffloadError } from '../../../errors.ts';
import { quoteName, sqlType } from '../../../sources/files/columnTypes.ts';
import { inputType } from '../../../transform/sql/inputTypes.ts';
import { OFFSETS_TABLE } from '../database.ts';
import { TARGET } from './databaseFile.ts';

/** The schema that every database has. */
export const MAIN = 'main';

/** Types that hold all values of those before them. */
const WIDER = [
  ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT'],
  ['UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'HUGEINT'],
  ['UTINYINT', 'SMALLINT'],
  ['USMALLINT', 'INTEGER'],
  ['UINTEGER', 'BIGINT'],
  ['FLOAT', 'DOUBLE'],
];

interface TableName {
  readonly schema: string;
  readonly table: string;
}

export function targetName(schema: string, table: string): string {
  return [TARGET, schema, table].map(quoteName).join('.');
}

/** Makes the table of positions, and the schema it is in. */
export async function ensureOffsetsTable(connection: DuckDBConnection, schema: string): Promise<void> {
  await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(TARGET)}.${quoteName(schema)}`);
  await ensureTable(
    connection,
    { schema, table: OFFSETS_TABLE },
    `(table_name VARCHAR NOT NULL, config VARCHAR NOT NULL, group_id VARCHAR NOT NULL,
      topic VARCHAR NOT NULL, partition INTEGER NOT NULL,
      start_offset BIGINT NOT NULL, next_offset BIGINT NOT NULL,
      topic_id VARCHAR, updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
      PRIMARY KEY (table_name, config, group_id, topic, partition))`,
  );
}

/** Makes a table of ours if it is missing. @param columns In brackets. */
export async function ensureTable(connection: DuckDBConnection, name: TableName, columns: string): Promise<void> {
  await connection.run(`CREATE TABLE IF NOT EXISTS ${targetName(name.schema, name.table)} ${columns}`);
}

export async function hasTable(connection: DuckDBConnection, name: TableName): Promise<boolean> {
  return (await readColumns(connection, name)).size > 0;
}

/**
 * Makes the table, or the columns it lacks.
 *
 * @throws OffloadError TARGET_UNSUITABLE
 */
export async function ensureColumns(connection: DuckDBConnection, name: TableName, schema: Schema): Promise<void> {
  const table = targetName(name.schema, name.table);
  checkNames(schema, name);
  const types = await columnTypes(connection, schema);
  const columns = await readColumns(connection, name);
  const declare = ({ name: column }: Field, index: number): string => `${quoteName(column)} ${types[index]}`;
  if (columns.size === 0) {
    await connection.run(`CREATE TABLE ${table} (${schema.fields.map(declare).join(', ')})`);
    return;
  }
  for (const [index, field] of schema.fields.entries()) {
    const actual = columns.get(field.name.toLowerCase());
    if (actual === undefined) await connection.run(`ALTER TABLE ${table} ADD COLUMN ${declare(field, index)}`);
    else checkType(field, types[index] as string, actual, name);
  }
}

/** As DuckDB itself writes them, so that they can be compared. */
async function columnTypes(connection: DuckDBConnection, { fields }: Schema): Promise<string[]> {
  const list = fields.map(({ type }) => {
    const own = inputType(type);
    return `typeof(CAST(NULL AS ${own === 'NULL' ? 'VARCHAR' : sqlType(own)}))`;
  });
  const [row = []] = (await connection.runAndReadAll(`SELECT ${list.join(', ')}`)).getRows();
  return row.map(String);
}

/** By name in lower case, which is how DuckDB compares them. */
async function readColumns(connection: DuckDBConnection, { schema, table }: TableName): Promise<Map<string, string>> {
  const [view] = (
    await connection.runAndReadAll(
      `SELECT 1 FROM duckdb_views() WHERE database_name = '${TARGET}' AND NOT internal
          AND lower(schema_name) = lower($1) AND lower(view_name) = lower($2)`,
      [schema, table],
    )
  ).getRows();
  if (view) throw unsuitable(`cannot write to ${schema}.${table}: it is a view; name another`, { schema, table });
  const reader = await connection.runAndReadAll(
    `SELECT column_name, data_type FROM duckdb_columns()
      WHERE database_name = '${TARGET}' AND lower(schema_name) = lower($1) AND lower(table_name) = lower($2)`,
    [schema, table],
  );
  return new Map(reader.getRows().map(([column, type]) => [String(column).toLowerCase(), String(type)]));
}

function checkType({ name: column, type }: Field, wanted: string, actual: string, { schema, table }: TableName): void {
  const isWider = WIDER.some((types) => types.includes(wanted) && types.indexOf(actual) > types.indexOf(wanted));
  if (actual === wanted || isWider) return;
  throw unsuitable(
    `cannot write the column ${column} to ${schema}.${table}: it is ${actual} there, and its values are ${wanted} (${type}); ` +
      'change the type of one of them, or write to another table',
    { schema, table, column, actual, wanted },
  );
}

function checkNames({ fields }: Schema, { schema, table }: TableName): void {
  const seen = new Set<string>();
  for (const { name } of fields) {
    const key = name.toLowerCase();
    const why =
      name === '' || name.includes('\0')
        ? 'which is no name'
        : seen.has(key)
          ? 'a second time: case does not count'
          : null;
    if (why !== null) {
      throw unsuitable(
        `cannot write to ${schema}.${table}: there is a column ${JSON.stringify(name)}, ${why}; rename it by "as NAME"`,
        { schema, table },
      );
    }
    seen.add(key);
  }
}

function unsuitable(message: string, context: Readonly<Record<string, string>>): OffloadError {
  return new OffloadError('TARGET_UNSUITABLE', message, { context });
}
