/** What `verify` finds, and what it says of it. */
import type { GapCounts, OffsetRange } from '../tasks.ts';

export type FindingKind =
  /** Offsets that no run accounts for. */
  | 'hole'
  /** Offsets that two runs have written, and nobody asked for it. */
  | 'overlap'
  | 'missing-manifest'
  | 'damaged-manifest'
  /** Of the chain of a stream. */
  | 'missing-entry'
  | 'damaged-entry'
  | 'missing-file'
  | 'damaged-file'
  /** The same bytes as a file of a run, under another name. */
  | 'doubled-file'
  /** Named as kafkaload names files, and in no manifest. */
  | 'unnamed-file'
  /** Other rows than were recorded. */
  | 'wrong-rows';

/** Something lost, doubled or damaged: one line each, and the same as data. */
export interface Finding {
  readonly kind: FindingKind;
  /** Null where it is not known. */
  readonly config: string | null;
  readonly message: string;
  readonly run?: string;
  /** Absolute. */
  readonly path?: string;
  readonly range?: OffsetRange;
}

/** What was looked at of one config. */
export interface VerifiedConfig {
  /** For a stream `group NAME`. */
  readonly config: string;
  /** Of a stream each micro-batch is one. */
  readonly isStream: boolean;
  /** Runs whose files count: since the last `Overwrite` that wrote some. */
  readonly runs: number;
  /** Of them, those with `--no-commit`: their files are checked, their rows stand beside the others. */
  readonly uncommittedRuns: number;
  readonly files: number;
  /** Rows as recorded; with `--deep` and offsets in the files, as found. */
  readonly rows: number;
  readonly bytes: number;
  /** Offsets whose rows are in the files, apart from gaps: in order, adjacent ones joined. */
  readonly ranges: readonly OffsetRange[];
  /** Offsets of these ranges without a row, and those deleted before they could be read, by cause. */
  readonly gaps: GapCounts;
  /** Rows whose offsets were read and compared; null without `--deep`. */
  readonly comparedRows: number | null;
  /** Messages of the topic that were looked up in the files; null where Kafka was not asked. */
  readonly comparedMessages: number | null;
}

export interface VerifyReport {
  /** Absolute; as given. */
  readonly path: string;
  readonly deep: boolean;
  readonly configs: readonly VerifiedConfig[];
  readonly findings: readonly Finding[];
  /** What is as somebody wanted it, and worth knowing. */
  readonly remarks: readonly string[];
}
