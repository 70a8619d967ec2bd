import { resolve } from 'node:path';
import { OffloadError } from '../errors.ts';
import {
  DEFAULT_FIELDS,
  DEFAULTS,
  defaultMaxMemoryBytes,
  MIN_WORKER_BYTES,
  OFFSETS_ENTRY,
  thisMachine,
} from './defaults.ts';
import type { Job, KafkaSettings, OffsetsJob, OffsetsSettings, TopicSelection } from './job.ts';
import { readBoolean, resolveKafka } from './kafkaProperties.ts';
import { type LoadedConfig, loadConfig } from './loadConfig.ts';
import { didYouMean } from './nearest.ts';
import { parseOffsetsOption, readOffsetSpec } from './offsetSpecs.ts';
import type { CliOptions, Environment, OffsetsAction, OffsetsOptions } from './options.ts';
import { parseFields } from './parseFields.ts';
import { mergeProperties, type Properties } from './properties.ts';
import type { ConfigTree, TopicEntry } from './schema.ts';
import { formatSize, parseSize, SIZE_EXAMPLES } from './sizes.ts';
import { resolveTarget } from './target.ts';

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
  const { entry, where, properties, config, topic, kafka, offsets, notes } = await resolveSource(options, environment);
  const selection: TopicSelection = { kind: 'topics', topics: [topic] };
  const fields = parseFields(config, entry.fields ?? DEFAULT_FIELDS);
  if (fields.length === 0) throw invalid(`${where}.fields is empty; leave it out for ${DEFAULT_FIELDS.join(', ')}`);
  const target = await resolveTarget(
    options,
    { config, topic, writeFormat: entry.writeFormat ?? null, writeFormatWhere: `${where}.writeFormat` },
    environment,
  );
  return deepFreeze({
    config,
    source: {
      kind: 'topic',
      selection,
      fields,
      invalidUtf8: entry.invalidUtf8 ?? DEFAULTS.invalidUtf8,
      maxRead: entry.maxRead && entry.maxRead > 0 ? entry.maxRead : null,
      startingOffsets: readOffsetSpec(properties, 'starting', selection),
      endingOffsets: readOffsetSpec(properties, 'ending', selection),
      startIsAsked: false,
      failOnDataLoss: readBoolean(properties.get('failOnDataLoss'), true),
      minPartitions: null,
      kafka,
      commit: true,
    },
    sink: { kind: 'files', target },
    offsets,
    takeOver: false,
    warnings: [],
    notes,
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
  const { config, topic, kafka, offsets, notes } = await resolveSource(options, environment);
  const selection: TopicSelection = { kind: 'topics', topics: [topic] };
  const spec = options.offsets === undefined ? null : parseOffsetsOption(options.offsets, selection);
  const discard = options.discard ?? false;
  return deepFreeze({ action, config, selection, kafka, offsets, notes, spec, discard, dryRun, report, verbose });
}

interface Source extends Pick<Job, 'config' | 'offsets' | 'notes'> {
  readonly topic: string;
  readonly kafka: KafkaSettings;
  readonly entry: TopicEntry;
  /** Full key of the entry. */
  readonly where: string;
  readonly properties: Properties;
}

/** What the entry says of the topic, how to reach it and where its offsets are saved. */
async function resolveSource(options: CliOptions, environment: Environment): Promise<Source> {
  if (options.config === undefined) throw missingConfig(options);
  const loaded = await loadConfig(options, environment);
  const { kafka } = loaded.tree;
  const config = options.config;
  const entry = findEntry(config, loaded);
  const where = `kafka.topics.${config}`;
  const topic = checkTopicName(entry.topicName, `${where}.topicName`);
  const serverOptions = { where: 'kafka.serverOptions', tree: kafka.serverOptions };
  const accessOptions = { where: `${where}.accessOptions`, tree: entry.accessOptions };
  const properties = mergeProperties([serverOptions, accessOptions]);
  const maxBatchBytes = entry.maxBatchBytes ?? DEFAULTS.maxBatchBytes;
  const { cwd } = environment;
  const resolved = await resolveKafka(properties, { serverWhere: serverOptions.where, cwd, maxBatchBytes });
  const offsets = await resolveOffsets(kafka, topic, environment);
  return {
    config,
    topic,
    kafka: resolved.settings,
    offsets: offsets.settings,
    notes: [...new Set([...resolved.notes, ...offsets.notes])],
    entry,
    where,
    properties,
  };
}

type RunOptions = Pick<Job, 'workers' | 'maxMemoryBytes' | 'dryRun' | 'report' | 'verbose'>;

function resolveRunOptions(options: CliOptions, environment: Environment): RunOptions {
  const machine = environment.machine ?? thisMachine();
  const workers = options.workers === undefined ? machine.cores : parseWorkers(options.workers);
  const report = options.report?.toLowerCase() ?? 'text';
  if (report !== 'text' && report !== 'json') throw usage(`unknown --report ${options.report}; one of text, json`);
  return {
    workers,
    maxMemoryBytes:
      options.maxMemory === undefined
        ? defaultMaxMemoryBytes(workers, machine)
        : parseMaxMemory(options.maxMemory, workers),
    dryRun: options.dryRun ?? false,
    report,
    verbose: options.verbose ?? false,
  };
}

function parseWorkers(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw usage(`--workers ${text} is no number of threads from 1 to 999`);
}

function parseMaxMemory(text: string, workers: number): number {
  const bytes = parseSize(text);
  if (bytes === null) throw usage(`--max-memory ${text} is no size; write it as ${SIZE_EXAMPLES}`);
  const least = workers * MIN_WORKER_BYTES;
  if (bytes >= least) return bytes;
  throw usage(
    `--max-memory ${text} is too little for ${workers} worker${workers === 1 ? '' : 's'}: each needs ` +
      `${formatSize(MIN_WORKER_BYTES)}, so at least ${formatSize(least)}; or use fewer --workers`,
  );
}

function missingConfig(options: CliOptions): OffloadError {
  if (options.path !== undefined && options.writePath !== undefined) {
    return usage(
      '--config is missing: reading from files is not in this version; name the topic entry to read with --config NAME',
    );
  }
  return usage('--config is missing; name the entry under kafka.topics to read: --config NAME');
}

/** The entry a run is named after: its state is kept by this name, in keys and in file names. */
function findEntry(config: string, { file, tree }: LoadedConfig): TopicEntry {
  const { topics } = tree.kafka;
  const names = Object.keys(topics).filter((name) => name !== OFFSETS_ENTRY);
  if (config === OFFSETS_ENTRY) {
    throw new OffloadError(
      'CONFIG_UNKNOWN',
      `--config ${config} is where offsets are saved; name one of ${names.join(', ')}`,
    );
  }
  const entry = Object.hasOwn(topics, config) ? topics[config] : undefined;
  if (entry === undefined) {
    const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none';
    throw new OffloadError(
      'CONFIG_UNKNOWN',
      `there is no entry kafka.topics.${config} in ${file}; ${known}${didYouMean(config, names)}`,
    );
  }
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(config) || config.startsWith('_kafkaload')) {
    throw invalid(
      `kafka.topics.${config} cannot be offloaded by this name: offsets are saved under it, so it must be letters, ` +
        'digits, ".", "_" and "-", without a "." or "_kafkaload" at its beginning',
    );
  }
  return entry;
}

async function resolveOffsets(
  kafka: ConfigTree['kafka'],
  topic: string,
  environment: Environment,
): Promise<{ settings: OffsetsSettings; notes: readonly string[] }> {
  const where = `kafka.topics.${OFFSETS_ENTRY}`;
  const entry: TopicEntry = kafka.topics[OFFSETS_ENTRY] ?? {};
  const mode = kafka.cometOffsetsMode ?? DEFAULTS.cometOffsetsMode;
  const heartbeatMs = kafka.heartbeatMs ?? DEFAULTS.heartbeatMs;
  const takeOverAfterMs = kafka.takeOverAfterMs ?? DEFAULTS.takeOverAfterMs;
  if (takeOverAfterMs < 2 * heartbeatMs) {
    throw invalid(
      `kafka.takeOverAfterMs (${takeOverAfterMs}) must be at least twice kafka.heartbeatMs (${heartbeatMs}), ` +
        'else a living run is taken for dead',
    );
  }
  const name = entry.topicName ?? OFFSETS_ENTRY;
  const own = mode === 'STREAM' ? await resolveOffsetsAccess(kafka, where, environment.cwd) : null;
  if (mode === 'STREAM' && checkTopicName(name, `${where}.topicName`) === topic) {
    throw invalid(`${where}.topicName is ${topic}, the topic that is read; offsets need a topic of their own`);
  }
  return {
    settings: {
      mode,
      name: mode === 'STREAM' ? name : resolve(environment.cwd, name),
      partitions: entry.partitions ?? DEFAULTS.offsetsPartitions,
      replicationFactor: entry.replicationFactor ?? DEFAULTS.offsetsReplicationFactor,
      createOptions: { ...DEFAULTS.offsetsCreateOptions, ...readCreateOptions(entry, where) },
      heartbeatMs,
      takeOverAfterMs,
      ...(own && { kafka: own.settings }),
    },
    notes: own?.notes ?? [],
  };
}

/** The offsets topic may live behind other access options than the topic that is read. */
async function resolveOffsetsAccess(
  kafka: ConfigTree['kafka'],
  where: string,
  cwd: string,
): Promise<{ settings: KafkaSettings; notes: string[] } | null> {
  const { accessOptions } = kafka.topics[OFFSETS_ENTRY] ?? {};
  if (!accessOptions || Object.keys(accessOptions).length === 0) return null;
  const properties = mergeProperties([
    { where: 'kafka.serverOptions', tree: kafka.serverOptions },
    { where: `${where}.accessOptions`, tree: accessOptions },
  ]);
  return resolveKafka(properties, {
    serverWhere: 'kafka.serverOptions',
    cwd,
    maxBatchBytes: DEFAULTS.maxBatchBytes,
  });
}

function readCreateOptions(entry: TopicEntry, where: string): Record<string, string> {
  const properties = mergeProperties([{ where: `${where}.createOptions`, tree: entry.createOptions }]);
  return Object.fromEntries([...properties].map(([key, { value }]) => [key, value]));
}

function checkTopicName(name: string | null | undefined, where: string): string {
  if (name === null || name === undefined) throw invalid(`${where} is missing`);
  if (name.includes(',')) {
    throw invalid(`${where} names several topics (${name}); this version reads one topic by one entry`);
  }
  if (/^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return name;
  throw invalid(`${where} "${name}" is no topic name: up to 249 letters, digits, ".", "_" and "-"`);
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
