import { expect, test } from 'vitest';
import { isSource, orphansOf, outputOf } from '../../../scripts/outputs.mjs';

const SOURCES = ['src/cli.ts', 'src/decode/assembly/index.ts', 'src/decode/assembly/lz4.ts', 'workers/offload.cts'];

test('a source has the output that its kind of module has', () => {
  expect(SOURCES.map(outputOf)).toEqual([
    ...['src/cli.js', 'src/decode/assembly/index.wasm', 'src/decode/assembly/index.wasm', 'workers/offload.cjs'],
  ]);
  expect([...SOURCES, 'src/notes.md', 'src/cli.mjs', 'src/codec.d.ts'].filter(isSource)).toEqual(SOURCES);
});

test('what a browser loads is copied under its own name', () => {
  const pages = ['index.html', 'page.css', 'page.js', 'icon.svg'].map((name) => `src/stream/observe/page/${name}`);
  expect(pages.filter(isSource)).toEqual(pages);
  expect(pages.map(outputOf)).toEqual(pages);
  const left = ['src/stream/observe/page/old.js', 'src/stream/observe/page/old.css'];
  expect(orphansOf(pages, [...pages, ...left])).toEqual(left);
});

test('output of a source stays, CommonJS and WebAssembly included; what is left of a deleted one goes', () => {
  const kept = [
    ...['src/cli.js', 'src/cli.js.map', 'src/cli.d.ts', 'src/decode/assembly/index.wasm'],
    ...['workers/offload.cjs', 'workers/offload.cjs.map', 'workers/offload.d.cts'],
  ];
  const left = ['src/main.js', 'src/decode/assembly/other.wasm', 'workers/load.cjs'];
  expect(orphansOf(SOURCES, [...kept, ...left])).toEqual(left);
});
