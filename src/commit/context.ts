/** What both ways of keeping offsets need of a run, and the few acts they share. */
import { dirname, join } from 'node:path';
import type { OffsetsSettings } from '../config/job.ts';
import { ioError, messageOf, OffloadError } from '../errors.ts';
import {
  type Clock,
  type FileSystem,
  makeFolders,
  PRIVATE_MODE,
  syncFolder,
  systemCode,
  unlessAbsent,
  writeSynced,
} from '../io.ts';
import { offsetKey } from '../plan/places.ts';
import type { PublishOutcome } from '../sinks/localFiles.ts';
import { encodeManifest } from '../sinks/manifest.ts';
import { blocked, encodeIntent, INTENT_FILE, type IntentRecord, makeIntentRecord } from './intent.ts';
import { isStagingPathOf, NO_STAGING, withdrawnPathOf } from './names.ts';
import type { Owner } from './owner.ts';
import type { SavedOffsets, TopicsInUse } from './savedOffsets.ts';
import type { DeadLetterOffice, Intent } from './types.ts';

export interface RunContext extends TopicsInUse {
  readonly config: string;
  readonly offsets: OffsetsSettings;
  readonly run: string;
  /** NO_STAGING for a session that moves no rows: it can change what is saved, and recover; it cannot `finish`. */
  readonly stagingPath: string;
  readonly owner: Owner;
  readonly takeOver: boolean;
  /** Gives the ranges of a prepared run back instead of finishing it. */
  readonly discard: boolean;
  /** Null for a command that can write none: a run that has some is left to others. */
  readonly deadLetters: DeadLetterOffice | null;
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** Called at each named step of the protocol, after what it names; tests stop a run there. */
  readonly step: (name: string) => Promise<void>;
}

/** Makes the staging folder, empty and synced. A run does this once, before anybody can know the run. */
export async function makeStaging({ fs, stagingPath }: RunContext): Promise<void> {
  if (stagingPath === NO_STAGING) return;
  await makeFolders(fs, dirname(stagingPath));
  await fs.mkdir(stagingPath);
  await syncFolder(fs, dirname(stagingPath));
}

/**
 * Removes the staging of a run with all it holds. A path that kafkaload cannot have made is left alone. Nothing depends
 * on it but space on the disk, so what fails is a warning, and is tried again by the next run.
 *
 * @returns False if something is left: the record that names it has to stay.
 */
export async function removeStaging(context: RunContext, stagingPath: string, run: string): Promise<boolean> {
  const { fs, log } = context;
  if (stagingPath === NO_STAGING) return true;
  if (!isStagingPathOf(stagingPath, run)) {
    log(`warning: ${stagingPath} is no staging folder of run ${run}, so it is not removed`);
    return true;
  }
  try {
    // Again in the end: one that sleeps while it gives a run back may have put the folder in its place meanwhile.
    for (const path of [stagingPath, withdrawnPathOf(stagingPath), stagingPath]) {
      if (!(await unlessAbsent(fs.stat(path)))) continue;
      await fs.removeAll(path);
      await unlessAbsent(syncFolder(fs, dirname(path)));
    }
    return true;
  } catch (error) {
    log(`warning: ${messageOf(ioError('remove', stagingPath, error))}; the next run tries again`);
    return false;
  }
}

const EMPTY_STAGING_AGE_MS = 3_600_000;

/**
 * Removes empty staging folders that are an hour older than this run's: of runs that crashed between making theirs and
 * writing the record that names it. One that is not empty stays, whoever's it is. Both times are the file system's own.
 *
 * @throws OffloadError FENCED if this run's folder is gone: only a run that took over removes it.
 */
export async function removeEmptyStaging(context: RunContext): Promise<void> {
  const { fs, stagingPath } = context;
  if (stagingPath === NO_STAGING) return;
  const now = (await unlessAbsent(fs.stat(stagingPath)))?.mtimeMs;
  if (now === undefined) throw fencedError(context, 'its staging folder was removed');
  for (const name of await fs.readdir(dirname(stagingPath))) {
    const path = join(dirname(stagingPath), name);
    if (!isStagingPathOf(path, name) || path === stagingPath) continue;
    const info = await unlessAbsent(fs.stat(path));
    if (!info || now - info.mtimeMs < EMPTY_STAGING_AGE_MS) continue;
    try {
      await fs.rmdir(path);
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(systemCode(error))) throw error;
    }
  }
}

/**
 * Writes `intent.json`, synced, and gives the record that points to it.
 *
 * @throws OffloadError FENCED if the staging folder is gone: only a run that took over removes it.
 */
export async function stageIntent(context: RunContext, intent: Intent, saved: SavedOffsets): Promise<IntentRecord> {
  const { fs, stagingPath, owner, topics, plainTopic } = context;
  checkIntent(context, intent, saved);
  const encoded = encodeIntent(intent);
  try {
    await writeSynced(fs, join(stagingPath, INTENT_FILE), encoded, 'w', PRIVATE_MODE);
    await syncFolder(fs, stagingPath);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw fencedError(context, 'its staging folder was removed');
    throw error;
  }
  return makeIntentRecord(intent, encoded, { owner, topics, plainTopic, manifest: encodeManifest(intent) });
}

/** A plan that began elsewhere than at the saved offsets would lose or repeat rows: refused, whoever made it. */
function checkIntent({ run, config, stagingPath }: RunContext, intent: Intent, saved: SavedOffsets): void {
  const wrong = (what: string): never => {
    throw new OffloadError('INTERNAL', `the intent of run ${run} of config ${config} is wrong: ${what}`);
  };
  if (intent.run !== run || intent.config !== config || intent.stagingPath !== stagingPath) {
    wrong(`it is for run ${intent.run} of ${intent.config} in ${intent.stagingPath}`);
  }
  if (intent.previous.length !== intent.next.length) wrong('its previous and next offsets differ in number');
  if (intent.target.kind === 'file' && intent.files.length > 1) wrong(`${intent.files.length} files for one target`);
  for (const [index, next] of intent.next.entries()) {
    const previous = intent.previous[index]?.offset ?? null;
    const before = intent.previous[index] ?? next;
    const key = offsetKey(next);
    if (offsetKey(before) !== key) wrong(`previous and next do not agree on ${key}`);
    const now = saved.get(key)?.offset ?? null;
    if (previous !== now) wrong(`${key} begins from ${previous}, but ${now} is saved`);
    if (next.offset === null || !Number.isSafeInteger(next.offset)) wrong(`${key} moves to ${next.offset}`);
  }
}

export function fencedError({ run, config }: RunContext, why: string): OffloadError {
  return new OffloadError(
    'FENCED',
    `run ${run} of config ${config} was taken over by another run: ${why}; this run touches nothing more; ` +
      'what it had prepared, the other run finishes',
    { context: { config, run } },
  );
}

/** Publishing stopped while the intent is still held: a person must look, and nothing is committed. */
export function publishError(record: IntentRecord, outcome: Extract<PublishOutcome, { ok: false }>): OffloadError {
  if (outcome.reason === 'gone') return blocked(record, outcome.detail);
  return new OffloadError(
    'TARGET_CHANGED',
    `cannot publish run ${record.run} of config ${record.config} to ${outcome.path}: ${outcome.detail}; ` +
      'nothing was committed; put back what stood there and run again',
    { context: { config: record.config, run: record.run, path: outcome.path } },
  );
}

/** Gives a failed file operation its one line; anything else passes as it is. */
export function describeFailure(error: unknown, attempt: string): unknown {
  if (error instanceof OffloadError || systemCode(error) === '') return error;
  const { path, syscall } = error as NodeJS.ErrnoException;
  if (path === undefined || syscall === undefined) return error;
  return ioError(`${attempt}: ${syscall}`, (error as { dest?: string }).dest ?? path, error);
}

/** A failure after the point of no return does not undo the run: the message says what follows. */
export function afterPrepare(error: unknown, { run }: RunContext): unknown {
  if (!(error instanceof OffloadError) || !(error.code === 'IO_FAILED' || error.retriable)) return error;
  return new OffloadError(error.code, `${error.message}; run ${run} is prepared: the next run finishes it`, {
    context: { ...error.context, run },
    cause: error.cause,
  });
}
