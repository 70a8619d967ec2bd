/** Readers of a database file of DuckDB in processes of their own, which open it as any reader does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { mustRun } from './cache.ts';

const DUCKDB = fileURLToPath(new URL('../../node_modules/@duckdb/node-api', import.meta.url));

export async function queryFile<Result>(path: string, sql: string): Promise<Result[]> {
  const script = `
    const { DuckDBInstance } = require(${JSON.stringify(DUCKDB)});
    (async () => {
      const instance = await DuckDBInstance.create(${JSON.stringify(path)}, { access_mode: 'READ_ONLY' });
      const reader = await (await instance.connect()).runAndReadAll(${JSON.stringify(sql)});
      console.log(JSON.stringify(reader.getRowObjectsJson()));
    })().catch((error) => { console.error(error.message); process.exitCode = 1; });`;
  return JSON.parse(await mustRun(process.execPath, ['-e', script]));
}

/** A reader that keeps the file open until it is told to let go. */
export function holdFile(path: string) {
  const script = `
    const { DuckDBInstance } = require(${JSON.stringify(DUCKDB)});
    (async () => {
      for (;;) {
        try {
          const instance = await DuckDBInstance.create(${JSON.stringify(path)}, { access_mode: 'READ_ONLY' });
          // One that nobody refers to is collected, and closes the file.
          globalThis.kept = await instance.connect();
          break;
        } catch {}
      }
      console.log('held');
      setInterval(() => {}, 1000);
    })();`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { held: once(child.stdout, 'data'), release: () => child.kill('SIGKILL') };
}
