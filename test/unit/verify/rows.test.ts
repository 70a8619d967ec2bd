import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Int64, type RecordBatch, Table, Utf8, vectorFromArray } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FILE_FORMATS, type FileFormat } from '../../../src/config/formats.ts';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import type { Manifest } from '../../../src/sinks/manifest.ts';
import { type FileContent, NO_GAPS, type OffsetRange, type OriginColumn } from '../../../src/tasks.ts';
import type { ChainedRun } from '../../../src/verify/chain.ts';
import type { LiveFile } from '../../../src/verify/files.ts';
import { originsOf, readOrigins } from '../../../src/verify/readOrigins.ts';
import { compareRows } from '../../../src/verify/rows.ts';
import { temporaryFolder } from '../../helpers/command.ts';
import { fileOf } from '../encode/formatFiles.ts';

let folder: { path: string; remove: () => Promise<void> };

beforeAll(async () => {
  folder = await temporaryFolder();
});

afterAll(() => folder.remove());

const column = (name: string, type: OriginColumn['type'], index: number): OriginColumn => ({ name, type, index });
const signal = new AbortController().signal;

/** Rows of a topic `t`: value, topic, partition as text, offset. */
function batchOf(rows: readonly (readonly [partition: number, offset: number])[]): RecordBatch {
  const table = new Table({
    value: vectorFromArray(
      rows.map((_, index) => `a,"b"\n${index}`),
      new Utf8(),
    ),
    topic: vectorFromArray(
      rows.map(() => 't'),
      new Utf8(),
    ),
    part: vectorFromArray(
      rows.map(([partition]) => String(partition)),
      new Utf8(),
    ),
    offset: vectorFromArray(
      rows.map(([, offset]) => BigInt(offset)),
      new Int64(),
    ),
  });
  return table.batches[0] as RecordBatch;
}

function contentOf(format: FileFormat, options: Readonly<Record<string, string>> = {}): FileContent {
  return {
    output: parseWriterOptions(format, options),
    topic: column('topic', 'STRING', 1),
    partition: column('part', 'STRING', 2),
    offset: column('offset', 'LONG', 3),
  };
}

describe('offsets are read from', () => {
  const rows = [
    [0, 5],
    [0, 6],
    [2, 2 ** 40],
  ] as const;

  test.each([
    ['json', { compression: 'gzip' }],
    ['csv', { header: 'true' }],
    ['csv', { sep: '|', escape: '"', compression: 'zstd' }],
    ['avro', {}],
    ['msgpack', {}],
  ] as const)('%s %j', async (format, options) => {
    const content = contentOf(format, options);
    const path = join(folder.path, `${format}${Object.keys(options).length}`);
    await writeFile(path, await fileOf(format, [batchOf(rows)], options));
    const origins = originsOf(content, []);
    if (!origins) throw new Error('no origins');
    const found: unknown[] = [];
    const count = await readOrigins(path, origins, (...row) => found.push(row), signal);
    expect(count).toBe(3);
    expect(found).toEqual(rows.map(([partition, offset]) => ['t', partition, offset]));
  });

  test('files without columns of topic and partition, where all rows are of one', () => {
    const range = (partition: number): OffsetRange => ({ topic: 't', partition, startOffset: 0, endOffset: 1 });
    const content = { ...contentOf('json'), topic: null, partition: null };
    expect(originsOf(content, [range(1), range(1)])).toMatchObject({ topic: 't', partition: 1 });
    expect(originsOf(content, [range(1), range(2)])).toBeNull();
    expect(originsOf({ ...content, offset: null }, [range(1)])).toBeNull();
    expect(originsOf(null, [range(1)])).toBeNull();
    expect(FILE_FORMATS.filter((format) => originsOf(contentOf(format), []) === null)).toEqual(['text']);
  });
});

describe('compareRows', () => {
  /** A run that recorded offsets `[from, to)` of t/0, and whose file holds `offsets`. */
  async function runOf(run: string, from: number, to: number, offsets: readonly number[], compacted = 0) {
    const path = join(folder.path, `${run}-${from}-${offsets.join('-')}.json`);
    const bytes = await fileOf('json', [batchOf(offsets.map((offset) => [0, offset] as const))]);
    await writeFile(path, bytes);
    const ranges = [{ topic: 't', partition: 0, startOffset: from, endOffset: to }];
    const recorded = { path: `${run}.json`, rows: offsets.length, bytes: 0, crc32c: 0, ranges };
    const gaps = compacted > 0 ? [{ ...NO_GAPS, compacted, topic: 't', partition: 0 }] : [];
    const about = { run, content: contentOf('json'), target: { kind: 'folder', path: '.' }, ranges, gaps };
    const manifest = { ...about, committed: true, files: [recorded] } as unknown as Manifest;
    const chained: ChainedRun = { manifest, isHere: true, link: { kind: 'first' } };
    const file: LiveFile = { config: 'orders', run: manifest, path, recorded };
    return { chained, file };
  }

  async function messages(...runs: Awaited<ReturnType<typeof runOf>>[]): Promise<string[]> {
    const { findings } = await compareRows(
      'orders',
      runs.map(({ chained }) => chained),
      runs.map(({ file }) => file),
      signal,
    );
    return findings.map(({ kind, message }) => `${kind}: ${message}`);
  }

  test('is content with every offset once, and with gaps that are recorded', async () => {
    expect(await messages(await runOf('a', 0, 3, [0, 1, 2]), await runOf('b', 3, 7, [3, 6], 2))).toEqual([]);
  });

  test('finds rows that are missing, doubled, and of nobody', async () => {
    expect(await messages(await runOf('a', 0, 4, [0, 3], 1))).toEqual([
      'hole: rows missing of offsets 0 to 3 of t/0: 1 (2 are in the files, 3 were recorded)',
    ]);
    expect(await messages(await runOf('a', 0, 3, [0, 1, 1]))).toEqual([
      'overlap: rows too many of offsets 0 to 2 of t/0: 1, the first of them at offset 1',
      'hole: rows missing of offsets 0 to 2 of t/0: 1 (2 are in the files, 3 were recorded)',
    ]);
    expect(await messages(await runOf('a', 0, 2, [0, 1, 9]))).toEqual([
      'wrong-rows: rows of t/0 with offsets that no run recorded: 1',
    ]);
    expect(await messages(await runOf('a', 0, 4, [0, 1, 2, 3], 1))).toEqual([
      'wrong-rows: rows of offsets 0 to 3 of t/0: 4 are in the files, 3 were recorded',
    ]);
  });

  test('takes offsets that two runs have written for two rows', async () => {
    const [first, again] = [await runOf('a', 0, 3, [0, 1, 2]), await runOf('b', 1, 5, [1, 2, 3, 4])];
    expect(await messages(first, again)).toEqual([]);
    const short = await runOf('b', 1, 5, [1, 3, 4]);
    expect(await messages(first, { ...again, file: { ...short.file, recorded: again.file.recorded } })).toEqual([
      expect.stringMatching(/^wrong-rows: rows of .*: 3 were found, run b recorded 4$/),
      'hole: rows missing of offsets 0 to 4 of t/0: 1 (6 are in the files, 7 were recorded)',
    ]);
  });

  test('leaves out runs whose file is damaged, and says so', async () => {
    const { chained } = await runOf('a', 0, 3, [0, 1, 2]);
    const result = await compareRows('orders', [chained], [], signal);
    expect(result).toMatchObject({ findings: [], remarks: [expect.stringContaining('run a')], rows: 0 });
    expect([...result.runs]).toEqual([]);
  });
});
