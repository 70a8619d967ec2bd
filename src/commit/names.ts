/** Names made by a run: its id, its files beside the saved offsets, its staging folder. */
import { createHash, randomBytes } from 'node:crypto';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { OffloadError } from '../errors.ts';

/** Folder of ours below a target; Spark, Hive and Trino ignore it, and a `*.parquet` glob does not enter it. */
const OWN_FOLDER = '_kafkaload';

const RUN_ID = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/;
const CONFIG_NAME = /^[A-Za-z0-9._-]+$/;

/** Unique, sorts by time, fit for a file name and an object key: `20261122T173012Z-1a2b3c4d`. */
export function makeRunId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '');
  return `${time}Z-${randomBytes(4).toString('hex')}`;
}

/** When a run began, as ISO 8601 in UTC. */
export function startOfRun(run: string): string {
  return run.slice(0, 16).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
}

export function isRunId(text: string): boolean {
  return RUN_ID.test(text);
}

/**
 * State is kept by config name, in file names and record keys, so a name that could be read as one of ours is refused.
 *
 * @throws OffloadError CONFIG_INVALID
 */
export function checkConfigName(config: string): void {
  const reserved = config === '.' || config === '..' || config.startsWith(OWN_FOLDER) || looksLikeStateName(config);
  if (CONFIG_NAME.test(config) && !reserved) return;
  const why = reserved ? 'that name is taken for files of kafkaload' : 'use letters, digits, ".", "_" and "-"';
  throw new OffloadError('CONFIG_INVALID', `cannot keep offsets under the config name "${config}": ${why}`, {
    context: { config },
  });
}

/**
 * What a file beside `CONFIG` is:
 *
 * - `run`: a run is open, not prepared. `intent`: prepared, not committed. `done`: committed. `fenced`: was taken over.
 * - `next`: the new `CONFIG` of a run, made before it prepares. `temp`: a file being written, not yet under its name.
 */
export type StateKind = 'run' | 'intent' | 'next' | 'done' | 'fenced' | 'temp';

const STATE_KINDS: readonly string[] = ['run', 'intent', 'next', 'done', 'fenced', 'temp'] satisfies StateKind[];

export interface StateName {
  readonly kind: StateKind;
  /** Grows with every run: one more than the highest of any kind. */
  readonly number: number;
  /** The run that made the name; it makes each name once, so no name is ever made twice. */
  readonly run: string;
}

/** `.CONFIG.KIND.E.RUN` */
export function formatStateName(config: string, name: StateName): string {
  return `.${config}.${name.kind}.${name.number}.${name.run}`;
}

/** Null for a file that is not this config's. Neither KIND, E nor RUN holds a dot, so a config name may. */
export function parseStateName(config: string, fileName: string): StateName | null {
  const prefix = `.${config}.`;
  if (!fileName.startsWith(prefix)) return null;
  const parts = fileName.slice(prefix.length).split('.');
  const [kind, number, run] = parts;
  if (parts.length !== 3 || kind === undefined || number === undefined || run === undefined) return null;
  if (!STATE_KINDS.includes(kind) || !/^\d{1,15}$/.test(number) || !isRunId(run)) return null;
  return { kind: kind as StateKind, number: Number(number), run };
}

function looksLikeStateName(config: string): boolean {
  const parts = config.split('.');
  const run = parts.at(-1) ?? '';
  return parts.length >= 4 && isRunId(run) && STATE_KINDS.includes(parts.at(-3) ?? '');
}

/** Order of names: by number, then by run; total, so that of two runs with one number each knows who is later. */
export function compareNames(a: StateName, b: StateName): number {
  if (a.number !== b.number) return a.number - b.number;
  return a.run < b.run ? -1 : a.run > b.run ? 1 : 0;
}

/**
 * `ROOT/_kafkaload/staging/CLUSTER.OFFSETS.CONFIG/RUN`, on the file system of the target, so that publishing is a
 * link or a rename. Configs of other clusters or other offsets never meet in it.
 */
export function stagingPathOf(place: {
  readonly root: string;
  readonly clusterId: string;
  /** STREAM: the topic. FILE: the absolute path of the folder, of which a short hash is taken. */
  readonly offsets: { readonly mode: 'STREAM' | 'FILE'; readonly name: string };
  readonly config: string;
  readonly run: string;
}): string {
  const { root, clusterId, offsets, config, run } = place;
  const name =
    offsets.mode === 'STREAM'
      ? offsets.name
      : createHash('sha256').update(resolve(offsets.name)).digest('hex').slice(0, 12);
  const cluster = clusterId.replace(/[^A-Za-z0-9_-]/g, '_');
  return join(resolve(root), OWN_FOLDER, 'staging', `${cluster}.${name}.${config}`, run);
}

/** In place of a staging path: of a run that moves no rows, which has none. */
export const NO_STAGING = '';

/** Where a staging folder is put aside while its ranges are given back, so that nobody publishes from it meanwhile. */
export function withdrawnPathOf(stagingPath: string): string {
  return `${stagingPath}.withdrawn`;
}

/** The folder that holds `_kafkaload/`, of a staging path that passes `isStagingPathOf`. */
export function rootOfStaging(stagingPath: string): string {
  return dirname(dirname(dirname(dirname(stagingPath))));
}

/**
 * Whether a path found in a record of another run may be removed with all it holds. A record can be damaged, or written
 * by anyone who may write to the offsets topic: only `.../_kafkaload/staging/SOMETHING/RUN` is ever removed.
 */
export function isStagingPathOf(path: string, run: string): boolean {
  const staging = dirname(dirname(path));
  return (
    isAbsolute(path) &&
    resolve(path) === path &&
    isRunId(run) &&
    basename(path) === run &&
    basename(staging) === 'staging' &&
    basename(dirname(staging)) === OWN_FOLDER
  );
}
