/** The two doors to the saved state of a config: `openRun` for a run, `readSavedState` for commands that only look. */
import type { OffsetsSettings } from '../config/job.ts';
import type { KafkaSettings } from '../config/kafkaSettings.ts';
import { type Clock, type FileSystem, nodeFileSystem, systemClock } from '../io.ts';
import { passStep } from '../steps.ts';
import { describeFailure, type RunContext } from './context.ts';
import { openFileRun } from './fileRun.ts';
import { OffsetsFolder, savedState } from './fileState.ts';
import type { IntentRecord } from './intent.ts';
import { checkConfigName, compareNames, makeRunId, NO_STAGING, stagingPathOf } from './names.ts';
import { describeOwner, isKnownDead, type Owner } from './owner.ts';
import { openStreamRun } from './streamRun.ts';
import { readStreamState, STABLE_WAIT_LOOKING_MS, type TopicReader } from './streamState.ts';
import type { DeadLetterOffice, RunSession, SavedState } from './types.ts';

export interface SavedStateOptions {
  readonly config: string;
  /** Topics the config reads now. */
  readonly topics: readonly string[];
  /** The topic whose entries carry no topic name; null: all carry one. Default: the only one of `topics`. */
  readonly plainTopic?: string | null;
  readonly offsets: OffsetsSettings;
  /** Reads the offsets topic; needed in STREAM mode only. */
  readonly reader?: TopicReader;
  /** Default: the file system of this machine. */
  readonly fs?: FileSystem;
}

export interface OpenRunOptions extends SavedStateOptions {
  /** Folder that will hold `_kafkaload/`: the target folder, or the folder of the target file; null: no rows are moved. */
  readonly root: string | null;
  readonly clusterId: string;
  /** Writes the offsets topic; needed in STREAM mode only. */
  readonly kafka?: KafkaSettings;
  /** Goes on without watching whether an earlier run is alive; default false. */
  readonly takeOver?: boolean;
  /** Gives the ranges of a prepared run back instead of finishing it, as long as nothing of it is visible. */
  readonly discard?: boolean;
  /** Writes the dead letters of runs; without it, a run that has some cannot be finished. */
  readonly deadLetters?: DeadLetterOffice;
  readonly log: (line: string) => void;
  readonly clock?: Clock;
  /** Called after each named step; what it throws ends the run there. For tests. */
  readonly onStep?: (name: string) => void | Promise<void>;
}

/**
 * Opens a run: afterwards no older run of the config can prepare, every intent left by one is finished, and the saved
 * state is read. Takes `takeOverAfterMs` when an earlier run did not end and cannot be known to be dead.
 *
 * @throws OffloadError RUN_ALIVE naming host and pid; RECOVERY_BLOCKED or TARGET_CHANGED when an intent cannot be
 *   finished; SAVED_OFFSETS_INVALID; FENCED when another run was started meanwhile; IO_FAILED and broker errors.
 */
export async function openRun(options: OpenRunOptions): Promise<RunSession> {
  const { config, topics, offsets, root, clusterId, log, onStep } = options;
  checkConfigName(config);
  const clock = options.clock ?? systemClock;
  const run = makeRunId(clock.nowMs());
  const stagingPath = root === null ? NO_STAGING : stagingPathOf({ root, clusterId, offsets, config, run });
  const context: RunContext = {
    config,
    topics,
    plainTopic: plainTopicOf(options),
    offsets,
    run,
    stagingPath,
    owner: await describeOwner(run, stagingPath),
    takeOver: options.takeOver ?? false,
    discard: options.discard ?? false,
    deadLetters: options.deadLetters ?? null,
    fs: options.fs ?? nodeFileSystem,
    clock,
    log,
    step: async (name) => {
      passStep(name);
      await onStep?.(name);
    },
  };
  if (offsets.mode === 'FILE') return openFileRun(context);
  if (!options.kafka) throw new TypeError('STREAM mode needs a way to the offsets topic');
  return openStreamRun(context, options.kafka, requireReader(options.reader));
}

/** What a command that only looks can know. */
export interface VisibleState extends SavedState {
  /** A run that has not ended, and is not known to be dead; whether it is alive, only watching could tell. */
  readonly aliveRun?: Pick<Owner, 'run' | 'host' | 'pid'>;
  /** Prepared and not committed: the next run finishes it, and then its `next` is saved. */
  readonly pendingIntent?: IntentRecord;
}

/**
 * Reads the saved state as it stands. Creates, locks, fences and recovers nothing; a folder or topic that does not
 * exist is an empty state.
 *
 * @throws OffloadError SAVED_OFFSETS_INVALID, IO_FAILED and broker errors.
 */
export async function readSavedState(options: SavedStateOptions): Promise<VisibleState> {
  checkConfigName(options.config);
  if (options.offsets.mode === 'FILE') {
    try {
      return await readFolder(options);
    } catch (error) {
      throw describeFailure(error, 'read the saved offsets');
    }
  }
  const { config, topics, offsets } = options;
  const read = await readStreamState(requireReader(options.reader), {
    topic: offsets.name,
    config,
    topics,
    plainTopic: plainTopicOf(options),
    waitForStableMs: STABLE_WAIT_LOOKING_MS,
  });
  return visible(read.state, read.run?.owner ?? null, read.intent);
}

async function readFolder(options: SavedStateOptions): Promise<VisibleState> {
  const { config, topics, offsets, fs = nodeFileSystem } = options;
  const folder = new OffsetsFolder(fs, offsets.name, config);
  const names = await folder.list();
  const last = await folder.readLastDone(names);
  const saved = await folder.readSaved({
    topics,
    plainTopic: plainTopicOf(options),
    before: last,
  });
  const open = names.filter(({ kind }) => kind === 'run' || kind === 'intent').sort(compareNames);
  const latest = open.at(-1);
  const owner = latest ? await folder.readOwner(latest) : null;
  const prepared = open.filter(({ kind }) => kind === 'intent').at(-1);
  const intent = prepared ? await folder.readIntent(prepared) : null;
  return visible(savedState(saved, last, topics), owner, intent === 'absent' ? null : intent);
}

async function visible(state: SavedState, owner: Owner | null, intent: IntentRecord | null): Promise<VisibleState> {
  const isDead = !owner || (await isKnownDead(owner));
  return {
    ...state,
    ...(isDead ? {} : { aliveRun: { run: owner.run, host: owner.host, pid: owner.pid } }),
    ...(intent ? { pendingIntent: intent } : {}),
  };
}

function plainTopicOf({ topics, plainTopic }: SavedStateOptions): string | null {
  const [only] = topics;
  return plainTopic === undefined && topics.length === 1 ? (only ?? null) : (plainTopic ?? null);
}

function requireReader(reader: TopicReader | undefined): TopicReader {
  if (!reader) throw new TypeError('STREAM mode needs a reader of the offsets topic');
  return reader;
}
