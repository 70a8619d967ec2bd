import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { crc32c } from '@node-rs/crc32';
import { Int64, makeData, RecordBatch, Schema, Field as SchemaField, Struct } from 'apache-arrow';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import { loadFileFormat } from '../../../src/encode/fileFormat.ts';
import { MAGIC as head } from '../../../src/encode/parquet/format.ts';
import { ParquetEncoder } from '../../../src/encode/parquet/parquetEncoder.ts';
import { nodeFileSystem as fs } from '../../../src/io.ts';
import { copyOldFile, readOldStart } from '../../../src/stage/oldFile.ts';
import { createLayout, type Segment, SegmentWriter, startAt } from '../../../src/stage/segments.ts';
import { closeStagedFiles, createStagedFiles, mergeRanges } from '../../../src/stage/stagedFiles.ts';

const format = await loadFileFormat(parseWriterOptions('parquet', {}));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kafkaload-stage-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function offsets(start: number, end: number): RecordBatch {
  const schema = new Schema([new SchemaField('offset', new Int64(), false)]);
  const data = BigInt64Array.from({ length: end - start }, (_, index) => BigInt(start + index));
  const child = makeData({ type: new Int64(), length: data.length, nullCount: 0, data });
  const struct = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type: struct, length: data.length, nullCount: 0, children: [child] }));
}

async function segment(writer: SegmentWriter, file: number | null, start: number, end: number): Promise<Segment> {
  // An encoder each: segments are made at the same time, as workers make them.
  const group = await new ParquetEncoder('snappy').encode(offsets(start, end));
  const written = await writer.write(file, group.body);
  const range = { topic: 't', partition: 0, startOffset: start, endOffset: end };
  return { ...written, rows: group.rows, footer: group.footer, range };
}

async function readOffsets(path: string): Promise<number[]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const result = await connection.runAndReadAll(`SELECT "offset"::DOUBLE FROM read_parquet('${path}')`);
  connection.closeSync();
  return result.getRows().map(([value]) => Number(value));
}

const numbers = (start: number, end: number) => Array.from({ length: end - start }, (_, index) => start + index);

describe('staged Parquet files', () => {
  it('holds the rows of several writers in offset order, whatever order they lie in', async () => {
    const paths = await createStagedFiles(fs, folder, 1, head);
    const layout = createLayout(paths, 4);
    const writers = [new SegmentWriter(fs, layout), new SegmentWriter(fs, layout)] as const;
    const segments = [
      await segment(writers[0], 0, 200, 300),
      ...(await Promise.all([segment(writers[1], 0, 0, 100), segment(writers[0], 0, 100, 200)])),
    ];
    for (const writer of writers) await writer.close();
    const [file] = await closeStagedFiles({
      fs,
      layout,
      format,
      head,
      segments,
      targetPath: () => join(folder, 'x'),
      old: null,
    });
    expect(await readOffsets(file?.stagedPath ?? '')).toEqual(numbers(0, 300));
    expect(file?.rows).toBe(300);
    expect(file?.ranges).toEqual([{ topic: 't', partition: 0, startOffset: 0, endOffset: 300 }]);
  });

  it('knows size and checksum of a file without reading it again', async () => {
    const paths = await createStagedFiles(fs, folder, 1, head);
    const layout = createLayout(paths, 4);
    const writer = new SegmentWriter(fs, layout);
    const segments = [await segment(writer, 0, 0, 5000), await segment(writer, 0, 5000, 5001)];
    await writer.close();
    const [file] = await closeStagedFiles({
      fs,
      layout,
      format,
      head,
      segments,
      targetPath: () => join(folder, 'x'),
      old: null,
    });
    const bytes = await readFile(file?.stagedPath ?? '');
    expect(file).toMatchObject({ bytes: bytes.length, crc32c: crc32c(bytes) });
  });

  it('fills the smallest of N files and publishes none without rows', async () => {
    const paths = await createStagedFiles(fs, folder, 3, head);
    const layout = createLayout(paths, 4);
    const writer = new SegmentWriter(fs, layout);
    const segments = [await segment(writer, null, 0, 9000), await segment(writer, null, 9000, 9001)];
    await writer.close();
    const files = await closeStagedFiles({
      ...{ fs, layout, format, head },
      segments,
      targetPath: (file) => `${folder}/${file}`,
      old: null,
    });
    expect(files.map(({ rows }) => rows)).toEqual([9000, 1]);
    expect((await stat(paths[2] ?? '')).size).toBe(4);
  });

  it('puts the rows of an old file first, byte for byte', async () => {
    const first = await createStagedFiles(fs, folder, 1, head);
    const oldLayout = createLayout(first, 4);
    const oldWriter = new SegmentWriter(fs, oldLayout);
    const oldSegments = [await segment(oldWriter, 0, 0, 50)];
    await oldWriter.close();
    const [old] = await closeStagedFiles({
      ...{ fs, layout: oldLayout, format, head },
      segments: oldSegments,
      targetPath: () => '',
      old: null,
    });
    const oldPath = old?.stagedPath ?? '';
    const start = await readOldStart(fs, oldPath, format, offsets(0, 1).schema);
    if (!start) throw new Error('the old file has no footer');

    const next = await fs.mkdir(join(folder, 'next')).then(() => createStagedFiles(fs, join(folder, 'next'), 1, head));
    const layout = createLayout(next, 4);
    startAt(layout, 0, start.keptBytes);
    const writer = new SegmentWriter(fs, layout);
    const segments = [await segment(writer, 0, 50, 80)];
    const copied = await copyOldFile(fs, start, next[0] ?? '');
    await writer.close();
    const [file] = await closeStagedFiles({ fs, layout, format, head, segments, targetPath: () => '', old: copied });
    expect(await readOffsets(file?.stagedPath ?? '')).toEqual(numbers(0, 80));
    expect(copied.whole).toEqual({ bytes: old?.bytes, crc32c: old?.crc32c });
    const bytes = await readFile(file?.stagedPath ?? '');
    expect(file).toMatchObject({ rows: 80, bytes: bytes.length, crc32c: crc32c(bytes) });
    expect(bytes.subarray(0, start.keptBytes)).toEqual((await readFile(oldPath)).subarray(0, start.keptBytes));
  });
});

describe('mergeRanges', () => {
  it('joins ranges that touch and keeps a gap', () => {
    const range = (partition: number, startOffset: number, endOffset: number) => ({
      topic: 't',
      partition,
      startOffset,
      endOffset,
    });
    expect(mergeRanges([range(0, 0, 5), range(0, 5, 9), range(0, 10, 12), range(1, 12, 13)])).toEqual([
      range(0, 0, 9),
      range(0, 10, 12),
      range(1, 12, 13),
    ]);
  });
});
