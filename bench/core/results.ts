/**
 * What a bench leaves: one JSON file in `bench/results`, from which tables, the report and comparisons are made.
 *
 * A file holds series; all results of one series were made from the same input, in turns, in one run.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Trace } from '../trace/spans.ts';
import type { Machine } from './machine.ts';
import { median } from './medians.ts';

/** Raised when a reader of older files would misread a newer one. */
const SCHEMA_VERSION = 1;

export interface Results {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly bench: string;
  /** ISO time, UTC. */
  readonly startedAt: string;
  readonly machine: Machine;
  /** Of the programs that took part. */
  readonly versions: Readonly<Record<string, string>>;
  readonly series: readonly Series[];
}

export interface Series {
  readonly name: string;
  readonly input: Input;
  /** Runs of each contender; micro benches count for themselves. */
  readonly rounds: number;
  readonly results: readonly Result[];
  /** Of `bench -- trace` alone. */
  readonly trace?: Trace;
}

/** Rows that every contender of a series reads. */
export interface Input {
  readonly rows: number;
  /** Bytes of keys and values of all rows. */
  readonly messageBytes: number;
  readonly partitions?: number;
  readonly codec?: string;
}

export interface Result {
  readonly contender: string;
  /** False: another program, that ours is measured by. */
  readonly isOurs: boolean;
  /** Where it is not that of the series: each point of a sweep has its own. */
  readonly input?: Input;
  readonly rowsPerSecond: number;
  readonly mebibytesPerSecond: number;
  /** Bytes that were written for each byte of messages; only micro benches tell. */
  readonly outputShare?: number;
  /** Medians of the runs. Micro benches, which measure a function and no process, have none of what follows. */
  readonly seconds?: number;
  readonly cpuSeconds?: number;
  readonly peakRssBytes?: number;
  /** From the first fetch to the last commit, as the command itself reports it. */
  readonly dataSeconds?: number;
  /** From producing a message to reading it; only streams have it. */
  readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly most: number };
  readonly runs?: readonly Run[];
  /** Resident memory over the last run, as seconds from its start and bytes. */
  readonly memory?: readonly MemorySample[];
}

export interface Run {
  /** Start-up included. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
  readonly dataSeconds?: number;
  /** Processes that wanted a core, on average over the minute before the run. */
  readonly loadBefore: number;
  /** Sum of the hashes of all rows; the same for every contender that writes rows. */
  readonly checksum?: string;
}

export type MemorySample = readonly [seconds: number, bytes: number];

/** Medians of the runs of one contender. */
export function summarize(
  contender: Pick<Result, 'contender' | 'isOurs' | 'input'>,
  input: Input,
  runs: readonly Run[],
  memory: readonly MemorySample[] = [],
): Result {
  const seconds = median(runs.map((run) => run.seconds));
  const dataSeconds = runs.flatMap((run) => run.dataSeconds ?? []);
  return {
    ...contender,
    rowsPerSecond: input.rows / seconds,
    mebibytesPerSecond: input.messageBytes / 1024 ** 2 / seconds,
    seconds,
    cpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    peakRssBytes: median(runs.map((run) => run.peakRssBytes)),
    ...(dataSeconds.length > 0 && { dataSeconds: median(dataSeconds) }),
    runs,
    ...(memory.length > 0 && { memory }),
  };
}

/** @returns The file that was written: `BENCH-TIME.json`. */
export function writeResults(folder: string, results: Omit<Results, 'schemaVersion'>): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${results.bench}-${results.startedAt.replace(/[-:]|\.\d+/g, '')}.json`);
  writeFileSync(file, formatResults({ schemaVersion: SCHEMA_VERSION, ...results }));
  return file;
}

/** JSON for people to compare: samples of memory, which are many, share a line, and figures have few digits. */
function formatResults(results: Results): string {
  const text = JSON.stringify(
    results,
    (_, value) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value),
    1,
  );
  const pairs = text.replace(/\[\s+([\d.e-]+),\s+([\d.e-]+)\s+\]/g, '[$1, $2]');
  return `${pairs.replace(/\],\s+\[/g, '], [')}\n`;
}

/** @throws Error in one line: no such file, not JSON, or of another schema. */
export function readResults(file: string): Results {
  let results: Partial<Results> | null;
  try {
    results = JSON.parse(readFileSync(file, 'utf8')) as Partial<Results> | null;
  } catch (error) {
    throw new Error(`cannot read results from ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (results?.schemaVersion !== SCHEMA_VERSION || !Array.isArray(results.series)) {
    const found = String(results?.schemaVersion ?? 'none');
    throw new Error(
      `cannot read results from ${file}: schema version ${SCHEMA_VERSION} is read, and this has ${found}`,
    );
  }
  return results as Results;
}

/** Result files of a folder, newest first. */
export function listResults(folder: string): { readonly file: string; readonly results: Results }[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({ file: join(folder, basename(name)), results: readResults(join(folder, name)) }))
    .sort((a, b) => (a.results.startedAt < b.results.startedAt ? 1 : -1));
}
