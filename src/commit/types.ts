import type { TopicToCreate } from '../config/job.ts';
import type { FileContent, GapCounts, OffsetRange, PartitionOffset, StagedFile } from '../tasks.ts';
import type { SavedOffset } from './savedOffsets.ts';

/** Where the rows of a run go. */
export type PublishTarget =
  /** New files in a folder; `Overwrite` removes `replaced` afterwards. */
  | { readonly kind: 'folder'; readonly path: string }
  /** Exactly this file, replaced by one rename. `old` is what stands there when the run is planned; null: nothing. */
  | { readonly kind: 'file'; readonly path: string; readonly old: FileState | null };

/** A file as it was seen: checked again before it is replaced. */
export interface FileState {
  readonly bytes: number;
  readonly crc32c: number;
}

/** The run before, for one that follows it. */
export interface LastRun {
  readonly run: string;
  /** CRC-32C of its manifest. */
  readonly manifestCrc32c: number;
  /** Folder whose `_kafkaload/` holds its manifest, absolute; null: its rows went to a topic, and there is none. */
  readonly root: string | null;
}

/**
 * All that is needed to finish a run once it is prepared, by this process or by another: written whole as
 * `intent.json` in the staging folder. Every path is absolute, so that a `{{date}}` of yesterday is found.
 */
export interface Intent {
  readonly version: 1;
  readonly config: string;
  readonly run: string;
  readonly stagingPath: string;
  readonly target: PublishTarget;
  readonly writeMode: 'Append' | 'Overwrite';
  /** False for a run that was told not to commit: `next` is `previous`, which is what is saved, and stays so. */
  readonly commit: boolean;
  /** Saved offsets the run began from, one entry for each partition of the plan; without a commit only those saved. */
  readonly previous: readonly PartitionOffset[];
  /** Offsets to save, same partitions in the same order, none null. */
  readonly next: readonly PartitionOffset[];
  readonly files: readonly StagedFile[];
  /** Absolute paths of our own older files that `Overwrite` removes. */
  readonly replaced: readonly string[];
  readonly ranges: readonly OffsetRange[];
  readonly gaps: readonly (GapCounts & { readonly topic: string; readonly partition: number })[];
  /** Topic id (UUID) by topic name; absent where the broker has none. */
  readonly topicIds: Readonly<Record<string, string>>;
  /** What tells `verify` where offsets stand in the files; absent where a row need not be a message. */
  readonly content?: FileContent;
  /** Records of which no row could be made, and where they go; absent where there are none. */
  readonly deadLetters?: IntentDeadLetters;
  /** Folder that holds `_kafkaload/`: the target folder, or the folder of the target file. */
  readonly root: string;
  /** The run before this one; null on the first. */
  readonly previousRun: LastRun | null;
  readonly createdAtMs: number;
}

/** Dead letters that are written to their topic after the files are published, and before offsets are saved. */
export interface IntentDeadLetters {
  readonly topic: string;
  /** Where it is kept how far they are, on the same cluster. */
  readonly progress: TopicToCreate & { readonly topic: string };
  readonly files: readonly StagedLetters[];
}

/** Dead letters in the staging folder. */
export interface StagedLetters {
  /** Absolute. */
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
  readonly crc32c: number;
}

/** Whoever writes dead letters: the protocol says when, and for whom. */
export interface DeadLetterOffice {
  /**
   * Writes those that are not written yet, each once.
   *
   * @param isHeld Whether the intent of the run still stands.
   * @returns False: it does not, and nothing was written.
   */
  deliver(
    letters: IntentDeadLetters & { readonly config: string; readonly run: string },
    isHeld: () => Promise<boolean>,
  ): Promise<boolean>;
  /** Whether some of a run are written; afterwards nobody who began before can write any. */
  isDelivered(
    about: Pick<IntentDeadLetters, 'progress'> & { readonly config: string; readonly run: string },
  ): Promise<boolean>;
}

/** What is known of a config when a run begins. */
export interface SavedState {
  /** Saved next offsets of the topics the config reads; a partition without one is absent. */
  readonly offsets: readonly PartitionOffset[];
  /** Those of topics it does not read now: they stay as they are. Nothing at all is saved if these are none, too. */
  readonly others: readonly PartitionOffset[];
  /** Topic ids at the last commit, by topic name. */
  readonly topicIds: Readonly<Record<string, string>>;
  readonly previousRun: LastRun | null;
}

/** A prepared run that was withdrawn: `previous` is still what is saved, and the next run reads up to `next` again. */
export interface DiscardedRun {
  readonly run: string;
  readonly previous: readonly PartitionOffset[];
  readonly next: readonly PartitionOffset[];
}

/** One open run: it alone may prepare, until it is fenced. */
export interface RunSession {
  readonly run: string;
  /** Absolute; made, empty and synced when the session opens. */
  readonly stagingPath: string;
  /** Read after opening, and again after a recovery. */
  readonly saved: SavedState;
  /** Runs of the past that this one finished while opening, and what was noticed on the way. */
  readonly recovered: readonly {
    readonly run: string;
    readonly files: readonly string[];
    readonly warnings: readonly string[];
  }[];
  /** Runs of the past whose ranges were given back while opening, for a session that was asked to. */
  readonly discarded: readonly DiscardedRun[];
  /** Aborts with an OffloadError FENCED as reason when another run has taken over. */
  readonly signal: AbortSignal;
  /** Looks whether another run has taken over, which `signal` learns with a heartbeat only. For a run that is not prepared. */
  isTakenOver(): Promise<boolean>;
  /**
   * Prepare, publish, manifest, commit, remove staging (design steps 6 to 9). Staged files must be complete and synced.
   * An intent without files commits offsets alone.
   *
   * @throws OffloadError FENCED or OUTCOME_UNKNOWN: another run has finished, or will finish, this one's work.
   */
  finish(intent: Intent): Promise<void>;
  /**
   * Replaces what is saved of the config's topics, at once and as a whole; an empty list forgets all that is saved of
   * the config. Ends the session, as `finish` does.
   *
   * @param topicIds Of the topics the offsets belong to; none with an empty list.
   * @param previousRun The run that this change is the end of, for one whose rows went elsewhere than to files; left
   *   out, it stays what it was.
   * @throws OffloadError FENCED, OUTCOME_UNKNOWN, IO_FAILED.
   */
  replaceSaved(
    offsets: readonly SavedOffset[],
    topicIds: Readonly<Record<string, string>>,
    previousRun?: SavedState['previousRun'],
  ): Promise<void>;
  /** Ends a run that prepared nothing: removes its staging and its run record. Safe to call after `finish`. */
  close(): Promise<void>;
}
