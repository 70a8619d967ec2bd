/** The table of a stream and that of its positions in PostgreSQL: made, and given the columns they lack. */
import type { Field, Schema } from 'apache-arrow';
import { type PostgresType, postgresColumn, postgresWireType } from '../../../encode/pgcopy/columnTypes.ts';
import { OffloadError } from '../../../errors.ts';
import { OFFSETS_TABLE } from '../database.ts';
import type { Transaction } from './session.ts';

/** PostgreSQL cuts longer ones off, and says so in a notice only. */
const MOST_NAME_BYTES = 63;
/** So many columns a table can have. */
const MOST_COLUMNS = 1600;
/** Of `pg_class.relkind`: tables, and those divided into partitions. */
const TABLE_KINDS = ['r', 'p'];

interface TableName {
  readonly schema: string;
  readonly table: string;
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
}

/** A name in SQL: parts in quotes, so that none is folded or taken for a word of the language. */
export function quoted(...parts: readonly string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/**
 * Makes the table of positions, and the schema it is in.
 *
 * @param schema Null: the first of the search path.
 * @returns The schema.
 */
export async function ensureOffsetsTable(transaction: Transaction, schema: string | null): Promise<string> {
  const name = schema ?? (await currentSchema(transaction));
  await ensureTable(
    transaction,
    { schema: name, table: OFFSETS_TABLE },
    `(table_name text NOT NULL, config text NOT NULL, group_id text NOT NULL,
      topic text NOT NULL, partition integer NOT NULL,
      start_offset bigint NOT NULL, next_offset bigint NOT NULL,
      topic_id text, updated_at timestamp with time zone NOT NULL DEFAULT now(),
      PRIMARY KEY (table_name, config, group_id, topic, partition))`,
  );
  return name;
}

/** Makes a table of ours if it is missing, and the schema it is in. @param columns In brackets. */
export async function ensureTable(transaction: Transaction, name: TableName, columns: string): Promise<void> {
  if (await hasTable(transaction, name)) return;
  const { schema, table } = name;
  await lockChanges(transaction, schema);
  const [found] = await transaction.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema]);
  // IF NOT EXISTS asks for the right to make one even where there is one.
  if (!found) await transaction.query(`CREATE SCHEMA ${quoted(schema)}`);
  await transaction.query(`CREATE TABLE IF NOT EXISTS ${quoted(schema, table)} ${columns}`);
}

export async function hasTable(transaction: Transaction, name: TableName): Promise<boolean> {
  return (await kindOf(transaction, name)) !== null;
}

/**
 * Makes the table, or the columns it lacks.
 *
 * @returns As what the values of each column are written.
 * @throws OffloadError TARGET_UNSUITABLE
 */
export async function ensureColumns(
  transaction: Transaction,
  name: TableName,
  schema: Schema,
): Promise<PostgresType[]> {
  checkNames(schema, name);
  const wanted = schema.fields.map((field) => ({ field, type: postgresColumn(field.name, field.type) }));
  let columns = await readColumns(transaction, name);
  if (columns === null || wanted.some(({ field }) => !columns?.has(field.name))) {
    await lockChanges(transaction, name.schema);
    const list = wanted.map(({ field, type }) => `${quoted(field.name)} ${type}`);
    const table = quoted(name.schema, name.table);
    if (columns === null) await transaction.query(`CREATE TABLE IF NOT EXISTS ${table} (${list.join(', ')})`);
    await transaction.query(
      `ALTER TABLE ${table} ${list.map((column) => `ADD COLUMN IF NOT EXISTS ${column}`).join(', ')}`,
    );
    columns = await readColumns(transaction, name);
  }
  return schema.fields.map((field) => wireType(field, columns?.get(field.name) ?? '', name));
}

async function currentSchema(transaction: Transaction): Promise<string> {
  const [row] = await transaction.query<{ schema: string | null }>('SELECT current_schema() AS schema');
  if (row?.schema) return row.schema;
  throw new OffloadError(
    'DATABASE_REFUSED',
    'no schema of the search path is there; name one: --streaming-to-table SCHEMA.TABLE',
  );
}

/** Two that make one thing at once would both fail, IF NOT EXISTS or not. */
async function lockChanges(transaction: Transaction, schema: string): Promise<void> {
  await transaction.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`kafkaload ${schema}`]);
}

async function kindOf(transaction: Transaction, { schema, table }: TableName): Promise<string | null> {
  const [row] = await transaction.query<{ kind: string }>(
    `SELECT c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, table],
  );
  return row?.kind ?? null;
}

async function readColumns(transaction: Transaction, name: TableName): Promise<Map<string, string> | null> {
  const kind = await kindOf(transaction, name);
  if (kind === null) return null;
  if (!TABLE_KINDS.includes(kind)) {
    throw new OffloadError(
      'TARGET_UNSUITABLE',
      `cannot write to ${quoted(name.schema, name.table)}: it is no table (a view, or a table of another server); name another`,
      { context: { ...name, kind } },
    );
  }
  const rows = await transaction.query<ColumnRow>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`,
    [name.schema, name.table],
  );
  return new Map(rows.map(({ name: column, type }) => [column, type]));
}

function wireType(field: Field, actual: string, { schema, table }: TableName): PostgresType {
  const type = postgresWireType(field.name, field.type, actual);
  if (type !== null) return type;
  const wanted = postgresColumn(field.name, field.type);
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot write the column ${field.name} to ${quoted(schema, table)}: it is ${actual} there, and its values are ` +
      `${wanted} (${field.type}); change the type of one of them, or write to another table`,
    { context: { schema, table, column: field.name, actual, wanted } },
  );
}

function checkNames({ fields }: Schema, { schema, table }: TableName): void {
  const wrong = fields.find(
    ({ name }) => name === '' || name.includes('\0') || Buffer.byteLength(name) > MOST_NAME_BYTES,
  );
  const why = wrong
    ? `PostgreSQL takes no column name ${JSON.stringify(wrong.name)}, but one of 1 to ${MOST_NAME_BYTES} bytes; rename it by "as NAME"`
    : fields.length > MOST_COLUMNS
      ? `PostgreSQL takes ${MOST_COLUMNS} columns, and there are ${fields.length}`
      : null;
  if (why === null) return;
  throw new OffloadError('TARGET_UNSUITABLE', `cannot write to ${quoted(schema, table)}: ${why}`, {
    context: { schema, table },
  });
}
