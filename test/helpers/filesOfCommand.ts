/** The file operations of the real command: seen, and failed, in all of its threads (filesPreload.cjs). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProgramResult } from './cache.ts';
import { runCommand } from './command.ts';

const PRELOAD = fileURLToPath(new URL('filesPreload.cjs', import.meta.url));

/** One operation that has ended, in the order in which they did. */
export interface LoggedOperation {
  readonly call: string;
  readonly path: string;
  /** The operation without run ids and numbers. */
  readonly signature: string;
  /** The other path of a link or a rename. */
  readonly to?: string;
  /** Of an open file. */
  readonly handle?: string;
  readonly flags?: string | number;
  /** Of a write, null: where the one before ended. */
  readonly position?: number | null;
  /** Base64, of a write, where bytes were asked for. */
  readonly data?: string;
}

export interface CommandFault {
  /** Of the first operation to fail. */
  readonly signature: string;
  /** `short`: a write takes half of its bytes; lastingly: no other finds space. */
  readonly code: 'ENOSPC' | 'EIO' | 'EACCES' | 'short';
  /** All operations fail from then on. */
  readonly lasting: boolean;
}

interface Watched {
  readonly folder: string;
  readonly fault?: CommandFault;
  /** Writes down the bytes of writes as well. */
  readonly withData?: boolean;
}

/** Of a command that cannot write below the folder for as long as a file is there. */
export function fullWhile(folder: string, file: string): Readonly<Record<string, string>> {
  return {
    NODE_OPTIONS: `--require ${PRELOAD}`,
    KAFKALOAD_TEST_FILES: JSON.stringify({ root: folder, fullWhile: file }),
  };
}

let logs = 0;

/** Runs the command to its end; its operations below `folder` are seen. */
export async function runWatched(
  args: readonly string[],
  { folder, fault, withData }: Watched,
): Promise<ProgramResult & { readonly operations: readonly LoggedOperation[] }> {
  const log = join(folder, `operations-${process.pid}-${logs++}.log`);
  const settings = { root: folder, log, ...(fault && { fail: fault }), ...(withData && { withData }) };
  const env = { NODE_OPTIONS: `--require ${PRELOAD}`, KAFKALOAD_TEST_FILES: JSON.stringify(settings) };
  const result = await runCommand(args, { cwd: folder, env });
  const lines = (await readFile(log, 'utf8')).split('\n').slice(0, -1);
  const operations = lines.map((line) => JSON.parse(line) as LoggedOperation & { readonly seq: number });
  return { ...result, operations: operations.sort((a, b) => a.seq - b.seq) };
}
