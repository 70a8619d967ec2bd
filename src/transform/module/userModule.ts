/** Modules of the user, and the types of what they export. */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Table } from 'apache-arrow';
import { messageOf, OffloadError } from '../../errors.ts';

/** What user code is told of the rows it gets. No credentials: it cannot print what it does not have. */
export interface UserContext {
  /** Name of the entry under `kafka.topics`, or what stands for it. */
  readonly config: string;
  /** Null where rows come from files. */
  readonly topic: string | null;
  readonly partition: number | null;
  /** Null where rows come from a topic. */
  readonly file: string | null;
  /** The first rows are looked at once before the run, to learn columns and types: nothing of that is written. */
  readonly isSample: boolean;
}

export interface TransformContext extends UserContext {
  /** Offset of the first row; null where rows come from files. */
  readonly startOffset: number | null;
  /** Number of the first row in its file, from 0; null where rows come from a topic. */
  readonly startRow: number | null;
  /** The `apache-arrow` that kafkaload was installed with, of which the table is; for modules that have none. */
  readonly arrow: typeof import('apache-arrow');
}

/**
 * The default export of a module for `--transform`: rows in, rows out, any number of them, always the same columns.
 * The table is valid until the function, or the promise it gives, has ended.
 */
export type TransformFunction = (table: Table, context: TransformContext) => Table | Promise<Table>;

export interface DeserializeContext extends UserContext {
  /** `key` or `value`. */
  readonly column: string;
  /** Offset of the message. */
  readonly offset: number;
}

/**
 * The default export of a module for `customDeserializers`: the bytes of a key or value to a string, number, boolean,
 * bigint, Date, Uint8Array, object or array of such, or null. The bytes are valid during the call. A second export
 * `type` may name the type of the results as Spark does, `STRUCT<id: BIGINT, price: DOUBLE>`.
 */
export type Deserializer = (bytes: Uint8Array | null, context: DeserializeContext) => unknown;

export interface UserModule {
  readonly run: (...args: never[]) => unknown;
  /** Other exports, by name. */
  readonly exports: Readonly<Record<string, unknown>>;
}

/**
 * Loads a module in this thread.
 *
 * @param where What names it, for messages: `--transform ./x.mjs`.
 * @throws OffloadError TRANSFORM_INVALID if it is missing, cannot be loaded, or its default export is no function.
 */
export async function loadUserModule(url: string, where: string): Promise<UserModule> {
  const path = pathOf(url, where);
  const info = await stat(path).catch(() => null);
  if (!info) throw invalid(`${where}: there is no file ${path}`, path);
  if (!info.isFile()) throw invalid(`${where}: ${path} is no file`, path);
  let exports: Record<string, unknown>;
  try {
    exports = (await import(url)) as Record<string, unknown>;
  } catch (error) {
    throw invalid(`${where}: cannot load ${path}: ${placed(error, path)}`, path, error);
  }
  // CommonJS that was compiled from an ES module has its default export one level deeper.
  const outer = exports.default;
  const inner = isObject(outer) && typeof outer.default === 'function' ? outer : exports;
  const run = inner.default;
  if (typeof run === 'function') return { run: run as UserModule['run'], exports: inner };
  const names = Object.keys(inner).join(', ') || 'nothing';
  const found = run === undefined ? `it exports ${names}` : `its default export is ${kindOf(run)}`;
  throw invalid(`${where}: ${path} has no function as its default export; ${found}`, path);
}

/** What a value is, in a word or two. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const { name } = (value as { constructor?: { name?: string } }).constructor ?? {};
  return name === undefined || name === 'Object' ? `an object of ${Object.keys(value).join(', ') || 'nothing'}` : name;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function pathOf(url: string, where: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw invalid(`${where}: ${url} is no URL of a file: ${messageOf(error)}`, url, error);
  }
}

/** A syntax error has its line in the first line of its stack alone. */
function placed(error: unknown, path: string): string {
  const [first = ''] = error instanceof SyntaxError ? (error.stack ?? '').split('\n') : [];
  const line = first.includes(path) ? /:(\d+)$/.exec(first)?.[1] : undefined;
  return line === undefined ? messageOf(error) : `line ${line}: ${messageOf(error)}`;
}

function invalid(message: string, path: string, cause?: unknown): OffloadError {
  return new OffloadError('TRANSFORM_INVALID', message, { context: { path }, cause });
}
