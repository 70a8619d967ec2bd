import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import type { BadRecordPolicy, DeadLetterPolicy, OffsetsSettings, TopicSource } from './job.ts';
import type { KafkaSettings } from './kafkaSettings.ts';
import { didYouMean } from './nearest.ts';
import { isSameCluster, type NamedEntry } from './topicEntry.ts';
import { compileTopicPattern } from './topicPattern.ts';
import { checkTopicName, namedTopics } from './topicSelection.ts';

const WORDS = ['fail', 'skip'] as const;
const DEAD_LETTERS = 'dlq:';

/**
 * `onBadRecord` of an entry: `fail`, `skip` or `dlq:TOPIC`.
 *
 * @param named Null: there is no entry, and a bad record ends the run.
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export function readBadRecordPolicy(named: NamedEntry | null): BadRecordPolicy {
  const value = named?.entry.onBadRecord?.trim();
  if (named === null || value === undefined) return { kind: 'fail' };
  const where = `${named.where}.onBadRecord`;
  const word = value.toLowerCase();
  const kind = WORDS.find((each) => each === word);
  if (kind !== undefined) return { kind };
  if (!word.startsWith(DEAD_LETTERS)) {
    throw invalid(
      `${where} "${value}" is none of fail, skip and dlq:TOPIC${didYouMean(word, [...WORDS, DEAD_LETTERS])}`,
    );
  }
  return {
    kind: 'dlq',
    topic: checkTopicName({ value: value.slice(DEAD_LETTERS.length).trim(), where: `${where}: the topic` }),
    create: {
      partitions: named.entry.partitions ?? DEFAULTS.topicPartitions,
      replicationFactor: named.entry.replicationFactor ?? DEFAULTS.topicReplicationFactor,
      createOptions: {},
    },
  };
}

/**
 * Refuses a topic for dead letters that is read, that rows go to, or that state is kept in.
 *
 * @param sink The topic that rows go to; null: they go elsewhere.
 * @throws OffloadError CONFIG_INVALID naming both.
 */
export function checkDeadLetters(
  source: Pick<TopicSource, 'selection' | 'kafka' | 'onBadRecord'>,
  sink: { readonly topic: string; readonly kafka: KafkaSettings } | null,
  offsets: Pick<OffsetsSettings, 'mode' | 'name' | 'progressTopic'> | null,
): void {
  const { onBadRecord } = source;
  if (onBadRecord.kind !== 'dlq') return;
  const { topic } = onBadRecord;
  const kafka = sink?.kafka ?? source.kafka;
  if (isSameCluster(kafka, source.kafka) && isRead(source, topic)) {
    throw refused(onBadRecord, 'is read by the same run, which would read its own dead letters without an end');
  }
  if (sink?.topic === topic) throw refused(onBadRecord, 'is the one that rows are written to');
  const state = offsets === null ? [] : [...(offsets.mode === 'STREAM' ? [offsets.name] : []), offsets.progressTopic];
  if (state.includes(topic)) throw refused(onBadRecord, 'is one that saved offsets or progress are kept in');
}

function isRead({ selection }: Pick<TopicSource, 'selection'>, topic: string): boolean {
  if (selection.kind === 'pattern') return compileTopicPattern(selection.pattern).test(topic);
  return namedTopics(selection).includes(topic);
}

function refused({ topic }: DeadLetterPolicy, why: string): OffloadError {
  return invalid(`onBadRecord is dlq:${topic}, and topic ${topic} ${why}; name another topic for dead letters`);
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
