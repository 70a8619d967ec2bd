import { resolve } from 'node:path';
import { OffloadError } from '../errors.ts';
import { DEFAULTS, OFFSETS_ENTRY } from './defaults.ts';
import type { OffsetsSettings } from './job.ts';
import type { KafkaSettings } from './kafkaSettings.ts';
import { mergeProperties } from './properties.ts';
import type { ConfigTree, TopicEntry } from './schema.ts';
import { reachKafka, readCreateOptions } from './topicEntry.ts';
import { checkTopicName } from './topicSelection.ts';

const WHERE = `kafka.topics.${OFFSETS_ENTRY}`;

/**
 * Where offsets are saved: the entry `comet_offsets`, which may be absent.
 *
 * @param topics Names of the topics that are read or written, none of which can hold the offsets.
 * @returns The settings, and one line for each property without effect.
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export async function resolveOffsets(
  kafka: ConfigTree['kafka'],
  topics: readonly string[],
  cwd: string,
): Promise<{ settings: OffsetsSettings; notes: readonly string[] }> {
  const entry: TopicEntry = kafka.topics[OFFSETS_ENTRY] ?? {};
  const mode = kafka.cometOffsetsMode ?? DEFAULTS.cometOffsetsMode;
  const times = {
    heartbeatMs: kafka.heartbeatMs ?? DEFAULTS.heartbeatMs,
    takeOverAfterMs: kafka.takeOverAfterMs ?? DEFAULTS.takeOverAfterMs,
  };
  if (times.takeOverAfterMs < 2 * times.heartbeatMs) {
    throw invalid(
      `kafka.takeOverAfterMs (${times.takeOverAfterMs}) must be at least twice kafka.heartbeatMs ` +
        `(${times.heartbeatMs}), else a living run is taken for dead`,
    );
  }
  const name = entry.topicName ?? OFFSETS_ENTRY;
  if (mode === 'STREAM' && topics.includes(checkTopicName({ value: name, where: `${WHERE}.topicName` }))) {
    throw invalid(
      `${WHERE}.topicName is ${name}, the topic that is read or written; offsets need a topic of their own`,
    );
  }
  const own = mode === 'STREAM' ? await reachOffsets(kafka, cwd) : null;
  return {
    settings: {
      mode,
      name: mode === 'STREAM' ? name : resolve(cwd, name),
      partitions: entry.partitions ?? DEFAULTS.offsetsPartitions,
      replicationFactor: entry.replicationFactor ?? DEFAULTS.offsetsReplicationFactor,
      createOptions: { ...DEFAULTS.offsetsCreateOptions, ...readCreateOptions({ entry, where: WHERE }) },
      progressTopic: readProgressTopic(kafka),
      ...times,
      ...(own && { kafka: own.settings }),
    },
    notes: own?.notes ?? [],
  };
}

/**
 * For a job whose offsets nobody saves: a folder for its lock and its intents.
 *
 * @param kafka Null: there is no configuration file.
 */
export function lockFolder(path: string, kafka: ConfigTree['kafka'] | null): OffsetsSettings {
  return {
    mode: 'FILE',
    name: path,
    partitions: DEFAULTS.offsetsPartitions,
    replicationFactor: DEFAULTS.offsetsReplicationFactor,
    createOptions: DEFAULTS.offsetsCreateOptions,
    progressTopic: readProgressTopic(kafka),
    heartbeatMs: DEFAULTS.heartbeatMs,
    takeOverAfterMs: DEFAULTS.takeOverAfterMs,
  };
}

/** The offsets topic may live behind other access options than the topic that is read. */
async function reachOffsets(
  kafka: ConfigTree['kafka'],
  cwd: string,
): Promise<{ settings: KafkaSettings; notes: readonly string[] } | null> {
  const { accessOptions } = kafka.topics[OFFSETS_ENTRY] ?? {};
  if (!accessOptions || Object.keys(accessOptions).length === 0) return null;
  const properties = mergeProperties([
    { where: 'kafka.serverOptions', tree: kafka.serverOptions },
    { where: `${WHERE}.accessOptions`, tree: accessOptions },
  ]);
  return reachKafka(properties, { cwd, side: 'source' });
}

function readProgressTopic(kafka: ConfigTree['kafka'] | null): string {
  return checkTopicName({ value: kafka?.progressTopic ?? DEFAULTS.progressTopic, where: 'kafka.progressTopic' });
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
