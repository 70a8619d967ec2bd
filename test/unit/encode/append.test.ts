/** Files that are appended to: what is looked at, what is refused, and that readers take both halves for one. */
import { gzipSync } from 'node:zlib';
import { compress as zstdCompress } from '@mongodb-js/zstd';
import { describe, expect, test } from 'vitest';
import { testFolder } from './files.ts';
import { fileOf } from './formatFiles.ts';
import { KINDS, toTable } from './tables.ts';

const folder = await testFolder();
const kinds = KINDS.filter(({ name }) => ['i32', 'words'].includes(name));
const table = toTable(kinds, [[3, 'three']]);
const compressions = {
  none: async (bytes: Buffer) => bytes,
  gzip: async (bytes: Buffer) => gzipSync(bytes),
  zstd: async (bytes: Buffer) => zstdCompress(bytes),
};

for (const [compression, compress] of Object.entries(compressions)) {
  describe(`with compression ${compression}`, () => {
    const options = { compression };

    test('JSON lines follow a last line with or without its end', async () => {
      for (const end of ['', '\n']) {
        const old = await compress(Buffer.from(`{"i32":1,"words":"one"}\n{"i32":2,"words":"two"}${end}`));
        const path = folder.write(await fileOf('json', [table], options, old));
        const from = `read_json(${path}, format = 'newline_delimited', compression = '${compression === 'none' ? 'uncompressed' : compression}')`;
        expect(await folder.query(`SELECT i32::INTEGER AS i32, words FROM ${from}`)).toEqual([
          { i32: 1, words: 'one' },
          { i32: 2, words: 'two' },
          { i32: 3, words: 'three' },
        ]);
      }
    });

    test('CSV has one header line, and refuses another one', async () => {
      const csv = { ...options, header: 'true' };
      const read = async (file: Buffer) =>
        folder.query(`SELECT * FROM read_csv(${folder.write(file)}, header = true, compression = '${compression}')`);
      const old = await compress(Buffer.from('i32,words\n1,one'));
      expect(await read(await fileOf('csv', [table], csv, old))).toEqual([
        { i32: 1n, words: 'one' },
        { i32: 3n, words: 'three' },
      ]);
      expect(await read(await fileOf('csv', [table], csv, await fileOf('csv', [table], csv)))).toHaveLength(2);
      expect(await read(await fileOf('csv', [table], csv, Buffer.alloc(0)))).toHaveLength(1);
      for (const header of ['words,i32', 'i32,words,more', 'i32']) {
        const other = await compress(Buffer.from(`${header}\n`));
        await expect(fileOf('csv', [table], csv, other)).rejects.toMatchObject({
          code: 'TARGET_UNSUITABLE',
          message: expect.stringContaining(`/out/old: its header line is ${header}, and the new rows have i32,words`),
        });
      }
    });

    test('a file that is compressed in another way is refused', async () => {
      for (const [name, other] of Object.entries(compressions)) {
        const file = fileOf('msgpack', [table], options, await other(Buffer.from([0x80])));
        if (name === compression) await expect(file).resolves.toBeInstanceOf(Buffer);
        else await expect(file).rejects.toThrow(`its compression is ${name}, and new rows would have ${compression}`);
      }
    });
  });
}

test('a compressed file that was cut short is refused', async () => {
  for (const compression of ['gzip', 'zstd'] as const) {
    const old = await compressions[compression](Buffer.from('{"i32":1}\n'.repeat(1000)));
    await expect(fileOf('json', [table], { compression }, old.subarray(0, -9))).rejects.toMatchObject({
      code: 'TARGET_UNSUITABLE',
      message: expect.stringContaining(`cannot append to /out/old: it does not inflate as ${compression}`),
    });
  }
});

test('Avro of another schema or codec, cut short, or no Avro at all is refused', async () => {
  const old = await fileOf('avro', [table]);
  const other = toTable(kinds.slice(1), [['x']]);
  await expect(fileOf('avro', [other], {}, old)).rejects.toThrow(
    /\/out\/old: its schema is .*i32.*, and the new rows have/,
  );
  await expect(fileOf('avro', [table], { compression: 'deflate' }, old)).rejects.toThrow(
    'its codec is snappy, and new rows would have deflate',
  );
  await expect(fileOf('avro', [table], {}, old.subarray(0, -1))).rejects.toThrow('it was cut short');
  await expect(fileOf('avro', [table], {}, Buffer.from('{}\n'))).rejects.toThrow('it is no Avro file');
});
