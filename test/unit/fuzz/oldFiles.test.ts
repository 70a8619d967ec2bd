/** The file that `Append` starts from may be damaged, or somebody else's: it is kept as a whole, or refused by its path. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FileFormat as FormatName } from '../../../src/config/formats.ts';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import { loadFileFormat, type OldContent, type ReadableFile } from '../../../src/encode/fileFormat.ts';
import { decodeStruct, encodeStruct } from '../../../src/encode/parquet/compactThrift.ts';
import { fileTail, parseFooter, readTail, TAIL_BYTES } from '../../../src/encode/parquet/footer.ts';
import { OffloadError } from '../../../src/errors.ts';
import { fileOf } from '../encode/formatFiles.ts';
import { KINDS, toTable } from '../encode/tables.ts';
import { amongNeighbours, damaged, HANG_MS, hostile, largestAllocation, outcomeOf, runs } from './hostile.ts';

const PATH = '/out/old';
const table = toTable(
  KINDS.filter(({ name }) => ['i32', 'words'].includes(name)),
  [
    [3, 'three'],
    [null, 'four'],
    [-5, null],
  ],
);
/** Pieces in which old files are looked through, and what zlib works with. */
const WORKING_BYTES = 4 * 1024 * 1024;

async function parquetOf(...batches: readonly (typeof table)[]): Promise<Buffer> {
  const files = await loadFileFormat(parseWriterOptions('parquet', {}));
  const pieces = [Buffer.from((await files.start(table.schema)).head)];
  const parts: { footer: Uint8Array; position: number }[] = [];
  const encoder = files.createEncoder(Buffer.alloc(0));
  for (const batch of batches) {
    const { body, footer } = await encoder.encode(batch);
    parts.push({ footer: Buffer.from(footer), position: Buffer.concat(pieces).length });
    pieces.push(...body.map((piece) => Buffer.from(piece)));
  }
  encoder.free();
  return Buffer.concat([...pieces, files.tail(parts, Buffer.concat(pieces).length)]);
}

function readable(file: Buffer): ReadableFile {
  return {
    path: PATH,
    bytes: file.length,
    read: async (position, length) => {
      if (position < 0 || length < 0 || position + length > file.length) {
        throw new Error(`${length} bytes at ${position} of ${file.length} are read`);
      }
      return file.subarray(position, position + length);
    },
  };
}

const isUnsuitable = (error: unknown): boolean =>
  error instanceof OffloadError && error.code === 'TARGET_UNSUITABLE' && error.message.includes(PATH);

const FORMATS: readonly (readonly [FormatName, Record<string, string>, number])[] = [
  ['parquet', {}, 400],
  ['json', { compression: 'gzip' }, 150],
  ['json', { compression: 'zstd' }, 150],
  ['csv', { compression: 'none', header: 'true' }, 150],
  ['avro', {}, 150],
  ['msgpack', { compression: 'gzip' }, 150],
];

describe.each(FORMATS)('an old %s file with %j', (format, options, count) => {
  test(
    'of any bytes is kept or refused',
    async () => {
      const files = await loadFileFormat(parseWriterOptions(format, options));
      const valid = format === 'parquet' ? await parquetOf(table) : await fileOf(format, [table], options);
      const read = (file: Buffer) => files.readOld(readable(file), table.schema);
      expect(await read(valid)).toMatchObject({ rows: format === 'parquet' ? 3 : null });
      await fc.assert(
        fc.asyncProperty(hostile(valid), async (bytes) => {
          let outcome: unknown;
          const largest = await largestAllocation(async () => {
            outcome = await outcomeOf(() => read(bytes), isUnsuitable);
          });
          expect(largest).toBeLessThanOrEqual(bytes.length + WORKING_BYTES);
          const { value } = outcome as { value?: OldContent };
          if (value !== undefined) expect(value.keptBytes).toBeLessThanOrEqual(bytes.length);
        }),
        runs(count),
      );
    },
    HANG_MS,
  );
});

test('padding behind gzip data neither holds the reader up nor hides what is appended', async () => {
  const files = await loadFileFormat(parseWriterOptions('json', { compression: 'gzip' }));
  const valid = gzipSync('{"i32":1,"words":"x"}\n');
  const read = (more: Buffer) => files.readOld(readable(Buffer.concat([valid, more])), table.schema);
  await expect(read(Buffer.alloc(0))).resolves.toMatchObject({ keptBytes: valid.length });
  await expect(read(valid)).resolves.toMatchObject({ keptBytes: 2 * valid.length });
  for (const bytes of [1, 3 * 1024 * 1024]) {
    await expect(read(Buffer.alloc(bytes))).rejects.toThrow(`${bytes} bytes of padding follow`);
  }
  await expect(read(Buffer.alloc(3 * 1024 * 1024, 0x1f))).rejects.toMatchObject({ code: 'TARGET_UNSUITABLE' });
});

describe('a Parquet footer', async () => {
  const files = await loadFileFormat(parseWriterOptions('parquet', {}));
  const file = await parquetOf(table, table);
  const { footerStart, footerBytes } = readTail(file, file.length);
  const footer = file.subarray(footerStart, footerStart + footerBytes);
  const body = file.subarray(0, footerStart);

  test(
    'of any bytes, in a file that is whole, is joined with ours into one that names every row, or refused',
    async () => {
      const ours = { footer: new Uint8Array(footer), position: file.length };
      const rows = parseFooter(footer).rows;
      let accepted = 0;
      await fc.assert(
        fc.asyncProperty(hostile(footer), async (bytes) => {
          const old = readable(Buffer.concat([body, fileTail(bytes)]));
          const outcome = await outcomeOf(() => files.readOld(old, table.schema), isUnsuitable);
          if ('error' in outcome) return;
          accepted += 1;
          const { footer: theirs, keptBytes, rows: oldRows } = outcome.value as OldContent;
          expect(keptBytes).toBe(footerStart);
          const tail = Buffer.from(files.tail([{ footer: theirs, position: 4 }, ours], 2 * file.length));
          const joined = parseFooter(tail.subarray(0, -TAIL_BYTES));
          expect(joined.rows).toBe((oldRows ?? 0) + rows);
          expect(joined.rowGroups.reduce((sum, group) => sum + group.rows, 0)).toBe(joined.rows);
        }),
        runs(1_000),
      );
      // Statistics and names of writers may be anything: some damage is none.
      expect(accepted).toBeGreaterThan(0);
    },
    HANG_MS,
  );

  test(
    'is read from its own bytes alone, and what was read is written back the same',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.oneof(damaged([footer]), hostile(footer)), async (bytes) => {
          const decode = (neighbour: number) => {
            const { view, areUntouched } = amongNeighbours(bytes, neighbour);
            return outcomeOf(() => {
              const { struct, byteLength } = decodeStruct(view);
              expect(areUntouched()).toBe(true);
              expect(byteLength).toBeLessThanOrEqual(bytes.length);
              const written = encodeStruct(struct);
              expect(encodeStruct(decodeStruct(written).struct)).toEqual(written);
              return written;
            });
          };
          expect(await decode(0x00)).toEqual(await decode(0xff));
        }),
        runs(1_000),
      );
    },
    HANG_MS,
  );
});
