/** The real command, stopped by a signal at a named step; its steps are noted by stopAtStep.mjs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProgramResult } from './cache.ts';
import { type CommandRun, startCommand } from './command.ts';
import { randomName } from './topics.ts';

const PRELOAD = new URL('./stopAtStep.mjs', import.meta.url).href;

/** A step of a run: the n-th of its name, counted from 1. */
export interface StepTarget {
  readonly name: string;
  readonly nth: number;
  /** Only steps behind the first of this name count. */
  readonly after?: string;
  /** A run passes it only when the one before it was killed. */
  readonly isCleanUp?: boolean;
}

/** What is sent at a step. */
export type StepSignal = { readonly signal: NodeJS.Signals } & (
  | StepTarget
  /** The first of this name that is passed while this file is there, which is removed then. */
  | { readonly name: string; readonly when: string }
);

export interface SteppedRun {
  readonly result: ProgramResult;
  /** Names in the order in which they were passed, those of threads among them. */
  readonly steps: readonly string[];
  /** Whether the signal was sent, and so at the step that was asked for. */
  readonly isStopped: boolean;
}

export interface SteppedCommand extends CommandRun {
  /** Names so far. */
  steps(): string[];
  /** Whether a signal was sent. */
  isSignalled(): boolean;
  readonly ended: Promise<SteppedRun>;
}

/** Starts the command, which is sent each of the signals at its step. */
export function startStepped(
  args: readonly string[],
  folder: string,
  ...stops: readonly (StepSignal | undefined)[]
): SteppedCommand {
  const path = join(folder, `${randomName('steps')}.log`);
  writeFileSync(path, '');
  const run = startCommand(args, {
    cwd: folder,
    env: {
      NODE_OPTIONS: `--import=${PRELOAD}`,
      KAFKALOAD_TEST_STEPS: path,
      KAFKALOAD_TEST_STOPS: JSON.stringify(stops.filter((stop) => stop !== undefined)),
    },
  });
  const noted = (): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const steps = (): string[] => {
    return noted().flatMap((line) => (line.startsWith('!') ? [] : (line.split(' ')[0] ?? '')));
  };
  const isSignalled = (): boolean => noted().some((line) => line.startsWith('!'));
  const ended = run.result.then((result) => ({ result, steps: steps(), isStopped: isSignalled() }));
  return { ...run, steps, isSignalled, ended };
}

/** The first of each name and, of those that come again, the last; in the order in which a run meets them. */
export function targetsOf(steps: readonly string[], after?: string): StepTarget[] {
  const from = after === undefined ? 0 : steps.indexOf(after);
  const targets: StepTarget[] = [];
  const counts = new Map<string, number>();
  const own = steps.slice(from);
  for (const name of own) counts.set(name, (counts.get(name) ?? 0) + 1);
  const met = new Map<string, number>();
  for (const name of own) {
    const nth = (met.get(name) ?? 0) + 1;
    met.set(name, nth);
    if (nth === 1 || nth === counts.get(name)) targets.push({ name, nth, ...(after !== undefined && { after }) });
  }
  return targets;
}

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));

/** Steps that only streams pass, though they are not in their folder: of transactions with the offsets of a group. */
const OF_STREAMS = ['transaction.groupAdded', 'transaction.offsetsSent'];

/** Every name that the sources pass as a step, but for those of streams and of dead letters, which have tests of their own. */
export async function allStepNames(): Promise<string[]> {
  const names = await stepNames((file) => !file.startsWith('stream'));
  return names.filter((name) => !OF_STREAMS.includes(name) && !name.includes('deadLetters'));
}

/** Names that only streams pass, but for those of dead letters. */
export async function streamStepNames(): Promise<string[]> {
  const names = [...(await stepNames((file) => file.startsWith('stream/'))), ...OF_STREAMS];
  return names.filter((name) => !name.includes('deadLetters'));
}

async function stepNames(isChosen: (file: string) => boolean): Promise<string[]> {
  const files = await readdir(SOURCES, { recursive: true });
  const names = new Set<string>();
  for (const file of files.filter((path) => path.endsWith('.ts') && isChosen(path))) {
    const text = await readFile(join(SOURCES, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/\b(?:passStep|step)\('([a-z]+\.[A-Za-z]+)'\)/g)) names.add(name);
  }
  return [...names].filter((name) => !name.includes('deadLetters'));
}
