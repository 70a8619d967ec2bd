/** Encoded row groups as files, and two readers that share no code with the writer. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Data, type RecordBatch, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import { type FileMetaData, parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterAll } from 'vitest';
import type { EncodedRows, PartsEncoder } from '../../../src/encode/encoder.ts';
import { endOfFile } from '../../../src/encode/parquet/fileEnd.ts';
import { parseFooter, readTail } from '../../../src/encode/parquet/footer.ts';
import { MAGIC } from '../../../src/encode/parquet/format.ts';
import type { Row } from './rows.ts';

/** One file of all parts: the bodies in the order given, their row groups in `footerOrder`. */
export function joinedFile(parts: readonly EncodedRows[], footerOrder = parts.map((_, index) => index)): Buffer {
  const deltas: number[] = [];
  let position = 0;
  for (const { bodyBytes } of parts) {
    deltas.push(position);
    position += bodyBytes;
  }
  const end = endOfFile(
    footerOrder.map((index) => ({ footer: parts[index]?.footer as Uint8Array, delta: deltas[index] as number })),
    MAGIC.length + position,
  );
  return Buffer.concat([MAGIC, ...parts.flatMap((part) => part.body), end]);
}

/** A row group that outlasts the next one of its encoder. */
export async function kept(group: Promise<EncodedRows>): Promise<EncodedRows> {
  const encoded = await group;
  return { ...encoded, body: encoded.body.map((piece) => Buffer.from(piece)) };
}

/** Adds rows as a worker does: their memory serves the next ones, before which nothing of them is left. */
export async function addLent(encoder: PartsEncoder, rows: RecordBatch): Promise<boolean> {
  const [lent] = tableFromIPC(tableToIPC(new Table(rows))).batches;
  const isAdded = await encoder.add(lent as RecordBatch);
  const overwrite = ({ buffers, children }: Data): void => {
    for (const view of Object.values(buffers) as (Uint8Array | undefined)[]) {
      if (view) new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(0xa5);
    }
    children.forEach(overwrite);
  };
  overwrite((lent as RecordBatch).data);
  return isAdded;
}

/** The opposite of `joinedFile`: body and footer of a file. */
export function partOf(file: Buffer): EncodedRows {
  const { footerStart, footerBytes } = readTail(file, file.length);
  const footer = file.subarray(footerStart, footerStart + footerBytes);
  const body = file.subarray(MAGIC.length, footerStart);
  return { body: [body], bodyBytes: body.length, footer, rows: parseFooter(footer).rows };
}

export interface TestFolder {
  /** Writes a file; returns its path, quoted for SQL. */
  write(file: Buffer): string;
  query(sql: string): Promise<Record<string, unknown>[]>;
}

/** A temporary folder and a DuckDB connection, both gone after the tests of the file. */
export async function testFolder(): Promise<TestFolder> {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-encode-'));
  const instance = await DuckDBInstance.create();
  const connection: DuckDBConnection = await instance.connect();
  let files = 0;
  afterAll(() => {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true });
  });
  return {
    write(file) {
      const path = join(folder, `${files++}.parquet`);
      writeFileSync(path, file);
      return `'${path}'`;
    },
    async query(sql) {
      return (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[];
    },
  };
}

/** All rows of a file through DuckDB, by offset, in the form of `describeRows`. */
export async function duckRows(folder: TestFolder, path: string): Promise<string[]> {
  const rows = await folder.query(
    `SELECT key, hex(value) AS value, topic, partition, "offset"::DOUBLE AS "offset", epoch_ms(timestamp)::DOUBLE AS timestamp,
       amount, epoch_ms(day::TIMESTAMP)::DOUBLE / 86400000 AS day,
       list_transform(headers, lambda h: {key: h.key, value: hex(h.value)}) AS headers
     FROM ${path} ORDER BY "offset"`,
  );
  return rows.map((row) => JSON.stringify(row));
}

/** All rows of a file through hyparquet (codecs snappy and none only), in the order of the file. */
export async function hyparquetRows(file: Buffer): Promise<string[]> {
  const rows = await parquetReadObjects({ file: arrayBufferOf(file), utf8: false });
  return rows.map((row) => {
    const headers = row.headers as { key: string; value: Uint8Array | undefined }[] | null | undefined;
    return JSON.stringify({
      key: row.key ?? null,
      value: hex(row.value),
      topic: row.topic,
      partition: row.partition,
      offset: Number(row.offset),
      timestamp: (row.timestamp as Date | null)?.getTime() ?? null,
      amount: row.amount ?? null,
      day: row.day ? (row.day as Date).getTime() / 86_400_000 : null,
      headers: headers?.map((header) => ({ key: header.key, value: hex(header.value) })) ?? null,
    });
  });
}

export function hyparquetMetadata(file: Buffer): FileMetaData {
  return parquetMetadata(arrayBufferOf(file));
}

/** What the readers must give. */
export function describeRows(rows: readonly Row[]): string[] {
  return rows.map(({ value, headers, ...row }) =>
    JSON.stringify({
      key: row.key,
      value: hex(value),
      topic: row.topic,
      partition: row.partition,
      offset: row.offset,
      timestamp: row.timestamp,
      amount: row.amount,
      day: row.day,
      headers: headers?.map((header) => ({ key: header.key, value: hex(header.value) })) ?? null,
    }),
  );
}

export function hex(bytes: unknown): string | null {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('hex').toUpperCase() : null;
}

function arrayBufferOf(file: Buffer): ArrayBuffer {
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
}
