/** Which files the compilers write for which sources. Paths are relative to the checkout, and to `dist/`. */
import { basename, dirname, join } from 'node:path';

/** Endings of what is written for a source. */
const OUTPUT = /\.(c?js|c?js\.map|d\.c?ts|wasm)$/;

export function isSource(path) {
  // Of declarations nothing is written.
  return (/\.c?ts$/.test(path) && !path.endsWith('.d.ts')) || isPageFile(path);
}

/** What a browser loads: copied as it is. */
export function isPageFile(path) {
  return basename(dirname(path)) === 'page' && /\.(html|css|svg|js)$/.test(path);
}

/** The file to run. Of a folder `assembly` only the entry has one: a module of all. */
export function outputOf(source) {
  if (basename(dirname(source)) === 'assembly') return join(dirname(source), 'index.wasm');
  return source.replace(/ts$/, 'js');
}

/** @returns Those of the files in `dist/` that no source stands for: they would still be found by an import. */
export function orphansOf(sources, files) {
  const wanted = new Set(sources.map((path) => outputOf(path).replace(OUTPUT, '')));
  return files.filter((path) => !wanted.has(path.replace(OUTPUT, '')));
}
