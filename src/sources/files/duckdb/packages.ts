/**
 * DuckDB's packages, loaded when a file is first read with them. By `require`: an `import()` first looks through all of a
 * CommonJS package for the names it exports, which took 0.13 s of CPU in each thread (November 2026).
 */
import { createRequire } from 'node:module';
import type duckdb from '@duckdb/node-bindings';

const require = createRequire(import.meta.url);

export function duckdbApi(): typeof import('@duckdb/node-api') {
  return require('@duckdb/node-api');
}

export function duckdbBindings(): typeof duckdb {
  return require('@duckdb/node-bindings');
}
