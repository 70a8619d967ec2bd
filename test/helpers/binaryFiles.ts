import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { decompress } from '@mongodb-js/zstd';
import avro from 'avsc';
import { Unpackr } from 'msgpackr';
import snappy from 'snappy';

/**
 * Rewrites a file of a format DuckDB does not read as lines of JSON, with the readers of others; bytes become base64.
 *
 * @returns The path of the lines, beside the file.
 */
export async function binaryToLines(path: string, format: 'avro' | 'msgpack'): Promise<string> {
  const rows = format === 'avro' ? await readAvro(path) : await readMsgpack(path);
  const lines = rows.map((row) => JSON.stringify(row, (_name, value) => plain(value)));
  // No reader of the folder sees a name that begins so.
  const beside = join(dirname(path), `_${basename(path)}.lines`);
  await writeFile(beside, lines.map((line) => `${line}\n`).join(''));
  return beside;
}

/** `JSON.stringify` has made of a Buffer what it makes of any by itself. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value) || value.type !== 'Buffer') return value;
  return Buffer.from((value as unknown as { data: number[] }).data).toString('base64');
}

async function readAvro(path: string): Promise<Record<string, unknown>[]> {
  const codecs = {
    snappy: (bytes: Buffer, done: (error: unknown, inflated?: Buffer) => void): void =>
      done(null, snappy.uncompressSync(bytes.subarray(0, -4)) as Buffer),
    zstandard: (bytes: Buffer, done: (error: unknown, inflated?: Buffer) => void): void => {
      decompress(bytes).then((inflated) => done(null, inflated), done);
    },
  };
  const rows: Record<string, unknown>[] = [];
  const decoder = avro.createFileDecoder(path, { codecs } as never);
  for await (const row of decoder) rows.push({ ...row, timestamp: new Date(row.timestamp).toISOString() });
  return rows;
}

async function readMsgpack(path: string): Promise<Record<string, unknown>[]> {
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const stored = await readFile(path);
  const bytes = path.endsWith('.gz') ? gunzipSync(stored) : stored;
  return unpackr.unpackMultiple(bytes) as Record<string, unknown>[];
}
