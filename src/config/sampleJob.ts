import { OffloadError } from '../errors.ts';
import { parseTruncate } from './consoleSink.ts';
import { DEFAULTS } from './defaults.ts';
import type { Job, TopicSource } from './job.ts';
import type { CliOptions, Environment, SampleOptions } from './options.ts';
import { resolveJob } from './resolveJob.ts';
import { parseCount } from './runOptions.ts';

/** `kafkaload sample`, resolved and frozen. */
export type SampleJob = Job & {
  readonly source: TopicSource;
  /** Messages of all partitions together, at most. */
  readonly limit: number;
  /** Characters a cell is cut to; null: never. */
  readonly truncate: number | null;
};

/** All rows are held at once. */
const MOST_MESSAGES = 100_000;

/**
 * The job of a run to the console, but for where it begins: at the last messages, whatever is saved and asked for.
 *
 * @throws OffloadError as `resolveJob`.
 */
export async function resolveSampleJob(options: SampleOptions, environment: Environment): Promise<SampleJob> {
  const { limit: limitText, truncate: truncateText, ...shared } = options;
  if (options.config === undefined && options.format === undefined) {
    throw usage('--config is missing; name the entry under kafka.topics whose messages are shown: --config NAME');
  }
  if (options.format !== undefined && options.format.toLowerCase() !== 'kafka') {
    throw usage(
      `--format ${options.format} has no place: a sample is of a topic; the first rows of files are shown by kafkaload --path PATH --write-format console`,
    );
  }
  const limit = parseLimit(limitText);
  const truncate = parseTruncate(truncateText ?? 'true', '--truncate %');
  const run: CliOptions = { ...shared, writeFormat: 'console' };
  const { source, ...job } = await resolveJob(run, environment);
  if (source.kind !== 'topic') throw new OffloadError('INTERNAL', 'a sample of files was asked for');
  return Object.freeze({ ...job, source: lastOf(source), limit, truncate });
}

/** Where a run would begin does not matter, nor whether it could. */
function lastOf(source: TopicSource): TopicSource {
  const wholeLog = { startingOffsets: { kind: 'earliest' }, startIsAsked: false, maxRead: null } as const;
  // Retention may remove what was found before it is read.
  return Object.freeze({ ...source, ...wholeLog, failOnDataLoss: false });
}

function parseLimit(text: string | undefined): number {
  const refusal = `--limit % is no number of messages; write 1 to ${MOST_MESSAGES}`;
  const limit = parseCount(text, refusal) ?? DEFAULTS.consoleRows;
  if (limit <= MOST_MESSAGES) return limit;
  throw usage(`${refusal.replace('%', String(text))}; --write-path and --no-commit put more into files`);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
