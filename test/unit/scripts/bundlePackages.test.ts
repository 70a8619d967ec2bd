import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tableFromArrays, tableFromIPC } from 'apache-arrow';
import { expect, test } from 'vitest';
import { BUNDLES } from '../../../scripts/bundlePackages.mjs';

const nameOf = (path: string): string => basename(path, '.js');

test.each(BUNDLES.map((path) => [nameOf(path), path]))(
  'the bundle of %s exports what the package does',
  async (name, path) => {
    const exported = (module: object) => new Set(Object.keys(module).filter((key) => key !== 'module.exports'));
    expect(exported(await import(path))).toEqual(exported(await import(name)));
  },
);

test('tables of the bundle are read by the package', async () => {
  const bundle = await import(BUNDLES.find((path) => nameOf(path) === 'apache-arrow') as string);
  const columns = { a: Float64Array.of(1, 2), b: ['x', 'y'] };
  const read = tableFromIPC(bundle.tableToIPC(bundle.tableFromArrays(columns)));
  expect(read.toArray().map(String)).toEqual(tableFromArrays(columns).toArray().map(String));
});

test('licences of all that is in the bundles lie beside them', () => {
  const texts = readFileSync(join(dirname(BUNDLES[0] as string), 'LICENSES.txt'), 'utf8');
  for (const path of BUNDLES) {
    const [contents = ''] = readFileSync(path, 'utf8').split('\n');
    const packages = contents.replace(/^\/\/ |: see .*/g, '').split(', ');
    expect(packages.some((entry) => entry.startsWith(`${nameOf(path)} `))).toBe(true);
    for (const entry of packages) expect(texts).toContain(`${entry} (`);
  }
});
