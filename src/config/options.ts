/**
 * The command line as it was written: text that nobody has judged yet. `resolveJob` does, so that an option and the
 * key of the configuration it stands for are refused in the same words.
 */
export interface CliOptions {
  readonly config?: string;
  readonly connectionRef?: string;
  readonly format?: string;
  readonly path?: string;
  readonly options?: string;
  readonly transform?: string;
  readonly maxRecords?: string;
  readonly startingOffsets?: string;
  readonly endingOffsets?: string;
  readonly noCommit?: boolean;
  readonly writeConfig?: string;
  readonly writeFormat?: string;
  readonly writePath?: string;
  readonly writeMode?: string;
  readonly writeCoalesce?: string;
  readonly writePartitionBy?: string;
  readonly writeOptions?: string;
  readonly reload?: boolean;
  readonly stream?: boolean;
  readonly streamingTrigger?: string;
  readonly streamingTriggerOption?: string;
  readonly streamingToTable?: string;
  readonly streamingPartitionBy?: string;
  readonly metricsPort?: string;
  readonly uiPort?: string;
  readonly listen?: string;
  readonly progress?: boolean;
  readonly conf?: string;
  readonly workers?: string;
  readonly maxMemory?: string;
  readonly takeOver?: boolean;
  readonly report?: string;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
}

/** The command line of `kafkaload config check`. */
export type CheckOptions = Pick<CliOptions, 'conf' | 'report' | 'verbose'>;

/** The command line of `kafkaload sample`. */
export interface SampleOptions
  extends Pick<
    CliOptions,
    'config' | 'format' | 'options' | 'connectionRef' | 'transform' | 'conf' | 'report' | 'verbose'
  > {
  readonly limit?: string;
  readonly truncate?: string;
}

/** Sub-commands of `kafkaload offsets`. */
export type OffsetsAction = 'show' | 'set' | 'reset' | 'recover';

/** The command line of such a sub-command. */
export interface OffsetsOptions extends Pick<CliOptions, 'config' | 'conf' | 'report' | 'dryRun' | 'verbose'> {
  readonly offsets?: string;
  readonly discard?: boolean;
}

/** The command line of `kafkaload verify`. */
export interface VerifyOptions extends Pick<CliOptions, 'path' | 'config' | 'conf' | 'report' | 'verbose'> {
  readonly deep?: boolean;
}

/** What a job depends on besides options and file. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths are taken from here. */
  readonly cwd: string;
  /** Start of the run: `{{date}}` is its day in UTC. */
  readonly now: Date;
  /** Default: this one. */
  readonly machine?: Machine;
}

export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
}
