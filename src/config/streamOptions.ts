/** The options of a stream: what they say, and what they make no sense with. */
import { OffloadError } from '../errors.ts';
import { INTERVAL_EXAMPLES, parseInterval } from './intervals.ts';
import type { StreamSettings, StreamTrigger } from './job.ts';
import { didYouMean } from './nearest.ts';
import type { CliOptions } from './options.ts';
import { parseSize, SIZE_EXAMPLES } from './sizes.ts';

export const TRIGGER_NAMES = ['Once', 'AvailableNow', 'ProcessingTime', 'Continuous'] as const;
type TriggerName = (typeof TRIGGER_NAMES)[number];

/** Options of the writer that are the stream's, not the format's. */
export const STREAM_WRITER_OPTIONS = ['maxFileBytes', 'maxFileAge'] as const;

const DEFAULT_TRIGGER: TriggerName = 'Once';
const DEFAULT_INTERVAL_MS = 10_000;
const LOOPBACK = '127.0.0.1';

/** Options that only a stream has, as they are written. */
const STREAM_ONLY = [
  ['--streaming-trigger', 'streamingTrigger'],
  ['--streaming-trigger-option', 'streamingTriggerOption'],
  ['--streaming-to-table', 'streamingToTable'],
  ['--streaming-partition-by', 'streamingPartitionBy'],
  ['--metrics-port', 'metricsPort'],
  ['--ui-port', 'uiPort'],
  ['--listen', 'listen'],
  ['--progress', 'progress'],
] as const satisfies readonly (readonly [string, keyof CliOptions])[];

/** Options of a run of batch, and why a stream has none of them. */
const BATCH_ONLY = [
  ['--max-records', 'maxRecords', 'maxOffsetsPerTrigger in the access options bounds a micro-batch'],
  ['--ending-offsets', 'endingOffsets', 'the trigger Once stops at what is there now'],
  ['--no-commit', 'noCommit', 'its place is kept by its consumer group; take another group.id to leave that alone'],
  ['--take-over', 'takeOver', 'several processes of a group share the work'],
  ['--reload', 'reload', 'each file is loaded once'],
] as const satisfies readonly (readonly [string, keyof CliOptions, string])[];

/**
 * Refuses options that have no place beside, or without, `--stream`.
 *
 * @throws OffloadError USAGE naming the option.
 */
export function checkStreamOptions(options: CliOptions): void {
  if (!options.stream) {
    const given = STREAM_ONLY.find(([, key]) => options[key] !== undefined);
    if (given !== undefined) throw usage(`${given[0]} has no meaning without --stream; add that, or remove it`);
    return;
  }
  for (const [name, key, why] of BATCH_ONLY) {
    if (options[key]) throw usage(`${name} has no place with --stream: ${why}`);
  }
  const { writeMode, writePartitionBy, streamingPartitionBy } = options;
  if (writeMode !== undefined && writeMode.toLowerCase() !== 'append') {
    throw usage(`--write-mode ${writeMode} has no place with --stream, which only adds rows; remove it`);
  }
  if (
    writePartitionBy !== undefined &&
    streamingPartitionBy !== undefined &&
    writePartitionBy !== streamingPartitionBy
  ) {
    throw usage(
      `--write-partition-by ${writePartitionBy} and --streaming-partition-by ${streamingPartitionBy} differ; keep one of them`,
    );
  }
  const trigger = readTrigger(options);
  if (options.writeCoalesce === '1' && !dividesByValues(options) && trigger.kind !== 'availableNow') {
    throw usage(
      `--write-coalesce 1 is exactly one file, and --streaming-trigger ${options.streamingTrigger} writes new files at each ` +
        'trigger; leave it out, name 2 or more files a trigger, or use the trigger Once',
    );
  }
}

/** Columns to divide files by, by either option. */
export function partitionColumns({ writePartitionBy, streamingPartitionBy }: CliOptions): string | undefined {
  return writePartitionBy ?? streamingPartitionBy;
}

function dividesByValues(options: CliOptions): boolean {
  return partitionColumns(options) !== undefined;
}

/**
 * When a micro-batch begins.
 *
 * @throws OffloadError USAGE
 */
function readTrigger({ streamingTrigger, streamingTriggerOption }: CliOptions): StreamTrigger {
  const text = streamingTrigger ?? DEFAULT_TRIGGER;
  const name = TRIGGER_NAMES.find((each) => each.toLowerCase() === text.trim().toLowerCase());
  if (name === undefined) {
    throw usage(
      `unknown --streaming-trigger ${text}; one of ${TRIGGER_NAMES.join(', ')}${didYouMean(text, TRIGGER_NAMES)}`,
    );
  }
  const intervalMs = streamingTriggerOption === undefined ? DEFAULT_INTERVAL_MS : parseInterval(streamingTriggerOption);
  if (intervalMs === null) {
    throw usage(
      `--streaming-trigger-option "${streamingTriggerOption}" is no length of time of up to 24 days; write it as ${INTERVAL_EXAMPLES}`,
    );
  }
  if (name === 'Once' || name === 'AvailableNow') {
    if (streamingTriggerOption === undefined) return { kind: 'availableNow' };
    throw usage(
      `--streaming-trigger-option ${streamingTriggerOption} has no meaning with the trigger ${name}, which begins at once and ` +
        'ends; remove it, or add --streaming-trigger ProcessingTime',
    );
  }
  return { kind: name === 'Continuous' ? 'continuous' : 'processingTime', intervalMs };
}

/**
 * All of `StreamSettings` that stands on the command line.
 *
 * @throws OffloadError USAGE
 */
export function readStreamOptions(
  options: CliOptions,
): Pick<StreamSettings, 'trigger' | 'metricsPort' | 'uiPort' | 'listenHost' | 'showProgress'> {
  if (options.listen !== undefined && options.metricsPort === undefined && options.uiPort === undefined) {
    throw usage(`--listen ${options.listen} has no meaning without --metrics-port or --ui-port; add one, or remove it`);
  }
  return {
    trigger: readTrigger(options),
    metricsPort: readPort(options.metricsPort, '--metrics-port'),
    uiPort: readPort(options.uiPort, '--ui-port'),
    listenHost: options.listen ?? LOOPBACK,
    showProgress: options.progress ?? false,
  };
}

/** A text, and the option or key that gave it. */
export interface GivenText {
  readonly where: string;
  readonly text: string;
}

/**
 * When files are begun before their trigger.
 *
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export function readFileLimits(
  maxFileBytes: GivenText | null,
  maxFileAge: GivenText | null,
): Pick<StreamSettings, 'maxFileBytes' | 'maxFileAgeMs'> {
  const bytes = maxFileBytes && parseSize(maxFileBytes.text);
  if (maxFileBytes && !bytes) throw invalid(maxFileBytes, `is no size; write it as ${SIZE_EXAMPLES}`);
  const ageMs = maxFileAge && parseInterval(maxFileAge.text);
  if (maxFileAge && !ageMs) throw invalid(maxFileAge, `is no length of time; write it as ${INTERVAL_EXAMPLES}`);
  return { maxFileBytes: bytes, maxFileAgeMs: ageMs };
}

function readPort(text: string | undefined, option: string): number | null {
  if (text === undefined) return null;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw usage(`${option} ${text} is no port; write a number from 1 to 65535, or 0 for any that is free`);
}

function invalid({ where, text }: GivenText, what: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', `${where} is "${text}", which ${what}`);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
