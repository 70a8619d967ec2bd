/** What the codecs of pages make of them beyond what readers show. */
import { expect, test } from 'vitest';
import { PAGE_CODECS } from '../../../src/encode/parquet/flat/codecs.ts';
import { PageKernel } from '../../../src/encode/parquet/flat/kernel.ts';

test('zstd is of level 1, which the package itself leaves out', async () => {
  const { compress } = await import('@mongodb-js/zstd/bindings.js');
  const page = Buffer.from(
    Array.from({ length: 20_000 }, (_, row) => `{"id":${row},"user":"user-${row % 97}"}`).join(),
  );
  const compressed = await PAGE_CODECS.zstd.compress(page, new PageKernel());
  expect(Buffer.compare(compressed, await compress(page, 1))).toBe(0);
  expect(compressed.length).not.toBe((await compress(page, 3)).length);
});
