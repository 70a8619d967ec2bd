/**
 * A run as a process of its own, which stops itself at named steps, one after another, to be woken or never again.
 * Prints its result as a line of JSON.
 */
import { OffloadError } from '../../../src/errors.ts';
import { closeSession, type LoadOptions, type LoadResult, load, openSession } from './harness.ts';

export interface SleeperOptions extends LoadOptions {
  /** Gives the ranges of a prepared run back, and moves no rows. */
  readonly discard: boolean;
  /** Steps at which it stops, each the first of its name after the one before. */
  readonly stops: readonly string[];
  /** What it does at the last of them; at the others it stops. */
  readonly last: 'SIGKILL' | 'SIGSTOP';
}

const { discard, stops, last, ...options } = JSON.parse(process.argv[2] ?? '') as SleeperOptions;
const ahead = [...stops];

function onStep(name: string): void {
  if (name !== ahead[0]) return;
  ahead.shift();
  process.kill(process.pid, ahead.length === 0 ? last : 'SIGSTOP');
}

async function giveBack(): Promise<LoadResult> {
  const nothing = { message: '', rows: 0, recovered: [], warnings: [] };
  try {
    await closeSession(await openSession(options, { onStep, command: { discard: true } }));
    return { outcome: 'ok', ...nothing };
  } catch (error) {
    if (!(error instanceof OffloadError)) throw error;
    return { ...nothing, outcome: error.code, message: error.message };
  }
}

process.stdout.write(`${JSON.stringify(await (discard ? giveBack() : load(options, { onStep })))}\n`);
