import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where downloads are kept between runs of tests and benches: never in the checkout, so that a fresh clone finds them too. */
function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'kafkaload');
}

/**
 * Returns the folder `name` in the cache, filled once.
 *
 * It is filled under a name of its own and renamed when it is complete, so two test runs at once cannot spoil one
 * another and an interrupted one leaves nothing that looks whole. The slower of two throws its copy away.
 *
 * @param fill Writes the content into the folder it is given; paths in it must not depend on the folder's name.
 */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const final = join(cacheFolder(), name);
  if (existsSync(final)) return final;
  const temporary = `${final}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(temporary, { recursive: true });
  try {
    await fill(temporary);
    await rename(temporary, final);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (!existsSync(final)) throw error;
  }
  return final;
}

/** One line on stderr: downloads and start-up take seconds to minutes, and a silent run looks hung. */
export function say(line: string): void {
  process.stderr.write(`[set-up] ${line}\n`);
}

export interface ProgramResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without a shell; never throws for its exit status. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) => reject(new Error(`cannot run ${file}: ${error.message}; is it installed?`)));
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Runs a program that must succeed; its last lines are in the error when it does not. */
export async function mustRun(file: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const result = await runProgram(file, args, options);
  if (result.code !== 0) {
    const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-30).join('\n');
    throw new Error(`${file} ${args.join(' ')} ended with ${result.code ?? result.signal}:\n${output}`);
  }
  return result.stdout;
}
