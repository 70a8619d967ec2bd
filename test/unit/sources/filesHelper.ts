import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type RecordBatch, type Schema, Table } from 'apache-arrow';
import type { FileFormat } from '../../../src/config/formats.ts';
import { parseReaderOptions } from '../../../src/config/readerOptions.ts';
import { type OpenFileOptions, openFile, readSchema, toArrowSchema } from '../../../src/sources/files/fileReader.ts';

const MEMORY_BYTES = 128 * 1024 * 1024;
export const WHOLE: OpenFileOptions = {
  startRow: 0,
  batchRows: 1000,
  batchBytes: 1024 * 1024,
  memoryLimitBytes: MEMORY_BYTES,
};

/** A folder that is removed with everything in it by `remove`. */
export function temporaryFolder(): {
  path: string;
  file: (name: string, content: string | Uint8Array) => string;
  remove: () => void;
} {
  const path = mkdtempSync(join(tmpdir(), 'kafkaload-files-'));
  return {
    path,
    file: (name, content) => {
      writeFileSync(join(path, name), content);
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Runs statements in a DuckDB of its own. */
export async function duckdb(...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  for (const statement of statements) await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
}

export type Row = Readonly<Record<string, unknown>>;

export interface ReadResult {
  readonly rows: Row[];
  readonly batches: readonly { firstRow: number; rows: number; dropped: number }[];
  readonly dropped: number;
  readonly schema: Schema | null;
}

/** Reads one file with options as they stand on the command line. */
export async function readRows(
  format: FileFormat,
  file: string,
  options: Record<string, string> = {},
  open: Partial<OpenFileOptions> = {},
): Promise<ReadResult> {
  const input = parseReaderOptions(format, options);
  const rows: Row[] = [];
  const batches: { firstRow: number; rows: number; dropped: number }[] = [];
  let schema: Schema | null = null;
  for await (const { batch, firstRow, dropped } of openFile(input, file, { ...WHOLE, ...open })) {
    schema = batch.schema;
    rows.push(...rowsOf(batch));
    batches.push({ firstRow, rows: batch.numRows, dropped });
  }
  return { rows, batches, schema, dropped: batches.reduce((sum, { dropped }) => sum + dropped, 0) };
}

export async function schemaOf(
  format: FileFormat,
  files: string[],
  options: Record<string, string> = {},
): Promise<string> {
  const { columns } = await readSchema(parseReaderOptions(format, options), files, WHOLE);
  return toArrowSchema(columns)
    .fields.map(({ name, type }) => `${name}: ${type}`)
    .join(', ');
}

/** Plain values: 64-bit integers as bigint, nested ones as arrays and objects. */
function rowsOf(batch: RecordBatch): Row[] {
  const table = new Table([batch]);
  const names = table.schema.fields.map(({ name }) => name);
  return Array.from({ length: table.numRows }, (_, row) =>
    Object.fromEntries(names.map((name, i) => [name, plain(table.getChildAt(i)?.get(row))])),
  );
}

export function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value;
  if (Symbol.iterator in value && !('toJSON' in value && value.constructor.name.includes('Row'))) {
    return [...(value as Iterable<unknown>)].map(plain);
  }
  return Object.fromEntries(
    Object.entries((value as { toJSON(): object }).toJSON()).map(([key, inner]) => [key, plain(inner)]),
  );
}
