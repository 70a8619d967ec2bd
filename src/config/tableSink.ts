import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OffloadError } from '../errors.ts';
import { unlessAbsent } from '../io.ts';
import type { Connection } from './connections.ts';
import type { DatabaseSettings } from './databaseSettings.ts';
import type { TableSink } from './job.ts';
import { didYouMean } from './nearest.ts';
import type { Environment } from './options.ts';
import { readPostgres } from './postgres.ts';
import { type PathValues, resolvePath } from './templates.ts';

const OPTION = '--streaming-to-table';
const DATABASE = 'database';
/** Environment variable: where rows are kept on their way to a server. */
const STAGING = 'KAFKALOAD_STAGING';
/** Tables of ours, in the schema of the table, and what they are for. */
const OWN_TABLES: ReadonlyMap<string, string> = new Map([
  ['_kafkaload_offsets', 'positions are kept in'],
  ['_kafkaload_dead_letters', 'dead letters wait in'],
]);
/** PostgreSQL cuts longer ones off, and says so in a notice only. */
const MOST_NAME_BYTES = 63;

/** A table as it was named; nobody has judged the texts yet. */
export interface TableRequest {
  /** Of `--streaming-to-table`. */
  readonly name: string;
  /** Of `--connectionRef`, if it is for the target. */
  readonly connection: Connection | null;
  /** Of `--write-options`. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The table a stream appends to. Looks at the path of the database file; touches nothing.
 *
 * @param values What `{{name}}` in the path of a database file stands for.
 * @throws OffloadError USAGE naming the option and what would be right; CONFIG_INVALID naming the key of the connection;
 *   TARGET_UNSUITABLE when a folder stands where the database file should.
 */
export async function resolveTableSink(
  { name, connection, options }: TableRequest,
  values: PathValues,
  environment: Environment,
): Promise<TableSink> {
  const file = databaseOption(options);
  if (connection !== null && connection.type !== 'POSTGRESQL') {
    throw usage(
      `${OPTION} ${name} needs a database, and --connectionRef ${connection.name} is of type ${connection.type}; ` +
        'name one of type POSTGRESQL or JDBC',
    );
  }
  if (connection !== null && file !== null) {
    throw usage(
      `--connectionRef ${connection.name} and ${DATABASE} in --write-options name two databases; keep one of them`,
    );
  }
  const names = readName(name);
  if (connection !== null) {
    for (const part of [names.schema, names.table]) checkLength(part);
    const settings = await readPostgres(connection, environment.cwd);
    const staging = environment.env[STAGING];
    return {
      kind: 'table',
      database: { kind: 'postgresql', ...settings },
      ...names,
      staging: staging ? resolvePath(staging, STAGING, {}, environment) : tmpdir(),
    };
  }
  if (file !== null) {
    const database = await databaseFile(file, values, environment);
    return { kind: 'table', database, ...names, staging: join(dirname(database.path), '_kafkaload', 'staging') };
  }
  throw usage(
    `${OPTION} ${name} needs a database: add --write-options ${DATABASE}=FILE for a file of DuckDB, or --connectionRef ` +
      'NAME for a connection of type POSTGRESQL or JDBC',
  );
}

function databaseOption(options: Readonly<Record<string, string>>): string | null {
  let file: string | null = null;
  for (const [key, value] of Object.entries(options)) {
    if (key.toLowerCase() !== DATABASE) {
      throw usage(
        `unknown option ${key} in --write-options; known for a table: ${DATABASE}${didYouMean(key, [DATABASE])}`,
      );
    }
    file = value;
  }
  return file;
}

async function databaseFile(
  text: string,
  values: PathValues,
  environment: Environment,
): Promise<Extract<DatabaseSettings, { kind: 'duckdb' }>> {
  const where = `${DATABASE} in --write-options`;
  if (text.trim() === ':memory:')
    throw usage(`${where} is ${text.trim()}, which is gone when the stream ends; name a file`);
  const path = resolvePath(text, where, values, environment);
  const found = await unlessAbsent(stat(path)).catch((error: NodeJS.ErrnoException) => {
    throw unsuitable(
      error.code === 'ENOTDIR'
        ? `${where} ${path} cannot be written: a part of it is a file, not a folder`
        : `cannot look at ${path}, which is ${where}: ${error.code}`,
      path,
    );
  });
  if (found !== null && !found.isFile()) {
    throw unsuitable(`${where} ${path} is ${found.isDirectory() ? 'a folder' : 'no regular file'}; name a file`, path);
  }
  return { kind: 'duckdb', path };
}

/** `table` or `schema.table`, in backquotes where a name has dots: `` shop.`orders.2026` ``. */
function readName(text: string): Pick<TableSink, 'schema' | 'table'> {
  const parts: string[] = [];
  const part = /(?:`((?:[^`]|``)+)`|([^.`]+))(\.|$)/y;
  for (let at = 0; at < text.length; at = part.lastIndex) {
    part.lastIndex = at;
    const match = part.exec(text);
    if (match === null || (match[3] === '.' && part.lastIndex === text.length)) throw unreadable(text);
    parts.push(match[1]?.replaceAll('``', '`') ?? (match[2] as string).trim());
  }
  const [table, schema, ...more] = parts.toReversed();
  if (table === undefined || more.length > 0) throw unreadable(text);
  if (parts.some((each) => each === '' || each.includes('\0'))) throw unreadable(text);
  const own = OWN_TABLES.get(table.toLowerCase());
  if (own !== undefined) throw usage(`${OPTION} ${text} is the table that ${own}; name another`);
  return { schema: schema ?? null, table };
}

function checkLength(name: string | null): void {
  const bytes = Buffer.byteLength(name ?? '');
  if (bytes <= MOST_NAME_BYTES) return;
  throw usage(`${OPTION}: the name ${name} has ${bytes} bytes, and PostgreSQL keeps ${MOST_NAME_BYTES} of a name`);
}

function unreadable(text: string): OffloadError {
  return usage(
    `${OPTION} ${JSON.stringify(text)} names no table; write TABLE or SCHEMA.TABLE, and a name that has dots in backquotes`,
  );
}

function unsuitable(message: string, path: string): OffloadError {
  return new OffloadError('TARGET_UNSUITABLE', message, { context: { path } });
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
