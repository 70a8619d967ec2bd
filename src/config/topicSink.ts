import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import type { OffsetsSettings, RecordCompression, TopicSink } from './job.ts';
import type { KafkaSettings } from './kafkaSettings.ts';
import { didYouMean } from './nearest.ts';
import type { Properties } from './properties.ts';
import { isSameCluster, type NamedEntry, reachKafka, readCreateOptions, topicNameOf } from './topicEntry.ts';
import { checkTopicName } from './topicSelection.ts';

const COMPRESSIONS: readonly RecordCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/**
 * The topic a job writes to.
 *
 * @param named Null: `--write-format kafka` without `--write-config`, with the topic among the options.
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export async function resolveTopicSink(
  properties: Properties,
  named: NamedEntry | null,
  place: { readonly cwd: string; readonly serverWhere?: string },
): Promise<{ sink: Omit<TopicSink, 'progress' | 'reload'>; notes: readonly string[] }> {
  const topicName = properties.get('topic') ?? (named && topicNameOf(named));
  if (!topicName) {
    const where = named === null ? 'topic in --write-options' : `${named.where}.topicName`;
    throw new OffloadError('CONFIG_INVALID', `${where} is missing: the topic to write to`);
  }
  const topic = checkTopicName(topicName);
  const { settings, notes } = await reachKafka(properties, { ...place, side: 'sink' });
  return {
    sink: {
      kind: 'topic',
      config: named?.name ?? topic,
      topic,
      kafka: settings,
      create: {
        partitions: named?.entry.partitions ?? DEFAULTS.topicPartitions,
        replicationFactor: named?.entry.replicationFactor ?? DEFAULTS.topicReplicationFactor,
        createOptions: named === null ? {} : readCreateOptions(named),
      },
      headers: named?.entry.headers ?? [],
      compression: readCompression(properties),
      chunkRecords: named?.entry.chunkRecords ?? DEFAULTS.chunkRecords,
    },
    notes,
  };
}

/**
 * Where progress is kept: the topic of saved offsets if it is on the target cluster, since both are then saved by one
 * transaction, else a topic of its own there.
 *
 * @param offsetsKafka How the offsets topic is reached; null when offsets are not saved in a topic.
 */
export function resolveProgress(
  sink: Pick<TopicSink, 'kafka' | 'topic'>,
  offsets: OffsetsSettings,
  offsetsKafka: KafkaSettings | null,
): TopicSink['progress'] {
  const { partitions, replicationFactor, createOptions } = offsets;
  if (offsets.mode === 'STREAM' && offsetsKafka !== null && isSameCluster(offsetsKafka, sink.kafka)) {
    return { topic: offsets.name, partitions, replicationFactor, createOptions };
  }
  const topic = offsets.progressTopic;
  if (topic === sink.topic) {
    throw new OffloadError(
      'CONFIG_INVALID',
      `kafka.progressTopic is ${topic}, the topic that is written to; name another`,
    );
  }
  return { topic, partitions: 1, replicationFactor, createOptions: DEFAULTS.offsetsCreateOptions };
}

function readCompression(properties: Properties): RecordCompression {
  const property = properties.get('compression.type');
  if (property === undefined) return DEFAULTS.recordCompression;
  const word = property.value.trim().toLowerCase();
  const compression = COMPRESSIONS.find((each) => each === word);
  if (compression !== undefined) return compression;
  throw new OffloadError(
    'CONFIG_INVALID',
    `${property.where} is "${property.value}"; it must be one of ${COMPRESSIONS.join(', ')}${didYouMean(word, COMPRESSIONS)}`,
  );
}
