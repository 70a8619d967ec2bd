import { createHash } from 'node:crypto';
import { basename, dirname, resolve } from 'node:path';
import { OffloadError } from '../errors.ts';
import { checkDeadLetters } from './badRecords.ts';
import type { Job, OffsetsJob, OffsetsSettings, TopicSink, VerifyJob } from './job.ts';
import { type JobContext, prepareJob } from './jobContext.ts';
import { type JobSink, type JobSource, resolveSink, resolveSource } from './jobParts.ts';
import type { KafkaSettings } from './kafkaSettings.ts';
import { loadConfig } from './loadConfig.ts';
import { parseOffsetsOption } from './offsetSpecs.ts';
import { lockFolder, resolveOffsets } from './offsetsSettings.ts';
import type { CliOptions, Environment, OffsetsAction, OffsetsOptions, VerifyOptions } from './options.ts';
import { resolveRunOptions } from './runOptions.ts';
import { resolveStream } from './streamSettings.ts';
import { findEntry, reachKafka, readProperties, topicNameOf } from './topicEntry.ts';
import { namedTopics } from './topicSelection.ts';
import { resolveProgress } from './topicSink.ts';
import { resolveTopicSource } from './topicSource.ts';

/**
 * Turns command line, environment and configuration file into the one description of a run that everything after it
 * works from. Reads the file and the PEM files it names, looks at the target path, and touches nothing else.
 *
 * @returns Frozen through and through; every default applied, every path absolute.
 * @throws OffloadError with exit status 2: USAGE (the option is named), CONFIG_INVALID (the full key), CONFIG_UNKNOWN,
 *   FIELD_INVALID, TARGET_UNSUITABLE. No message holds a secret.
 */
export async function resolveJob(options: CliOptions, environment: Environment): Promise<Job> {
  const run = resolveRunOptions(options, environment);
  const context = await prepareJob(options, environment);
  const source = await resolveSource(context);
  const sink = await resolveSink(context, source.part);
  const stream = options.stream ? resolveStream(context, source.part, source.properties) : null;
  const offsets = await resolveState(context, source.part, sink.part);
  if (source.part.kind === 'topic') {
    checkDeadLetters(source.part, sink.part.kind === 'topic' ? sink.part : null, offsets.settings);
    const { onBadRecord } = source.part;
    if (stream !== null && onBadRecord.kind === 'dlq' && sink.part.kind === 'console') {
      throw usage(
        `--stream to the console writes no dead letters, and ${context.named?.where}.onBadRecord is dlq:${onBadRecord.topic}; set it to skip, or write to files, a table or a topic`,
      );
    }
  }
  return deepFreeze({
    config: context.named?.name ?? (sink.part.kind === 'files' ? FILES_NAME : nameAfter(source.part)),
    source: source.part,
    transform: source.transform,
    sink: sink.part.kind === 'topic' ? await addProgress(context, source.part, sink.part, offsets.settings) : sink.part,
    stream: stream?.settings ?? null,
    offsets: offsets.settings,
    takeOver: options.takeOver ?? false,
    warnings: [...source.warnings, ...sink.warnings],
    notes: [...new Set([...source.notes, ...sink.notes, ...offsets.notes, ...(stream?.notes ?? [])])],
    ...run,
  });
}

/**
 * The same for a sub-command of `offsets`, which has no target.
 *
 * @throws OffloadError as `resolveJob`.
 */
export async function resolveOffsetsJob(
  action: OffsetsAction,
  options: OffsetsOptions,
  environment: Environment,
): Promise<OffsetsJob> {
  const { dryRun, report, verbose } = resolveRunOptions(options, environment);
  if (action === 'set' && options.offsets === undefined) {
    throw usage(
      `--offsets is missing; name offsets by partition as --offsets '{"0": 12}', earliest, latest or an ISO time`,
    );
  }
  if (options.config === undefined) {
    throw usage('--config is missing; name the entry under kafka.topics whose offsets are meant: --config NAME');
  }
  const entry = await resolveEntry(options.config, options, environment);
  const spec = options.offsets === undefined ? null : parseOffsetsOption(options.offsets, '--offsets', entry.selection);
  return deepFreeze({
    action,
    ...entry,
    spec,
    discard: options.discard ?? false,
    dryRun,
    report,
    verbose,
  });
}

/**
 * The same for `verify`, which reads a configuration only where it names an entry.
 *
 * @throws OffloadError as `resolveJob`.
 */
export async function resolveVerifyJob(options: VerifyOptions, environment: Environment): Promise<VerifyJob> {
  const { report, verbose } = resolveRunOptions(options, environment);
  if (options.path === undefined) {
    throw usage('--path is missing; name the folder, or the file of --write-coalesce 1, that runs have written');
  }
  const entry = options.config === undefined ? null : await resolveEntry(options.config, options, environment);
  const { notes = [], ...saved } = entry ?? {};
  return deepFreeze({
    path: resolve(environment.cwd, options.path),
    deep: options.deep ?? false,
    saved: entry && (saved as Omit<typeof entry, 'notes'>),
    notes,
    report,
    verbose,
  });
}

/** What is saved of an entry, and where. */
async function resolveEntry(
  config: string,
  options: Pick<CliOptions, 'conf'>,
  environment: Environment,
): Promise<Pick<OffsetsJob, 'config' | 'selection' | 'kafka' | 'offsets' | 'notes'>> {
  const loaded = await loadConfig(options, environment);
  const named = findEntry(config, '--config', loaded);
  const properties = readProperties({ loaded, named, connection: null, more: null });
  const place = { cwd: environment.cwd, deserializers: loaded.deserializers, topicName: topicNameOf(named) };
  const { source, notes } = await resolveTopicSource(properties, named, {}, place);
  const { selection, kafka } = source;
  const offsets = await resolveOffsets(loaded.tree.kafka, namedTopics(selection), environment.cwd);
  return {
    config: named.name,
    selection,
    kafka,
    offsets: offsets.settings,
    notes: [...new Set([...notes, ...offsets.notes])],
  };
}

/** Where offsets are saved; a job without an entry to save them by keeps its lock and its intents beside its files. */
async function resolveState(
  { loaded, named, environment }: JobContext,
  source: JobSource,
  sink: JobSink,
): Promise<{ settings: OffsetsSettings; notes: readonly string[] }> {
  const { cwd } = environment;
  const isByEntry = named !== null || sink.kind === 'topic';
  if (loaded !== null && isByEntry) {
    const read = source.kind === 'topic' ? namedTopics(source.selection) : [];
    return resolveOffsets(loaded.tree.kafka, sink.kind === 'topic' ? [...read, sink.topic] : read, cwd);
  }
  const target = sink.kind === 'files' ? sink.target : null;
  const root = target === null ? cwd : target.kind === 'file' ? dirname(target.path) : target.path;
  return { settings: lockFolder(resolve(root, '_kafkaload', 'locks'), loaded?.tree.kafka ?? null), notes: [] };
}

async function addProgress(
  { loaded, options, environment }: JobContext,
  source: JobSource,
  sink: Extract<JobSink, { kind: 'topic' }>,
  offsets: OffsetsSettings,
): Promise<TopicSink> {
  const readKafka = source.kind === 'topic' ? source.kafka : null;
  let offsetsKafka: KafkaSettings | null = offsets.kafka ?? readKafka;
  // A load: the offsets topic, if there is one, is behind the server options alone.
  if (offsetsKafka === null && loaded !== null && offsets.mode === 'STREAM') {
    const properties = readProperties({ loaded, named: null, connection: null, more: null });
    const canReach = properties.has('bootstrap.servers');
    offsetsKafka = canReach ? (await reachKafka(properties, { cwd: environment.cwd, side: 'sink' })).settings : null;
  }
  return {
    ...sink,
    progress: resolveProgress(sink, offsets, offsetsKafka),
    reload: options.reload ?? false,
  };
}

/** Of jobs to files that no entry names: those to one folder replace the files of one another. */
const FILES_NAME = 'files';

/** For a job that no entry names: readable, and another for other sources. */
function nameAfter(source: JobSource): string {
  const identity = source.kind === 'files' ? source.paths : source.selection;
  const first =
    source.kind === 'files' ? basename(source.paths[0] ?? '') : (namedTopics(source.selection)[0] ?? 'topics');
  const word = first.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^[-_]+|-+$/g, '') || 'files';
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 8);
  return `${word.slice(0, 60)}-${hash}`;
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
