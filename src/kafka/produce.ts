/**
 * The Produce request, versions 7 (Kafka 2.1, the first with zstd) and 8, and what its errors mean. From version 12 on a
 * broker adds partitions to the transaction by itself and expects another way of ending it: not spoken here.
 */
import type { EncodedRecordBatch } from '../encode/records/recordBatch.ts';
import type { OffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import type { Api } from './protocol.ts';
import { byTopic, type TopicPartition } from './transactionProtocol.ts';
import { WireWriter } from './wire.ts';

/** All replicas in sync have it before the broker answers. */
const ALL_REPLICAS = -1;

export interface ProduceRequest {
  readonly transactionalId: string;
  readonly timeoutMs: number;
  /** One for each partition at most, stamped. */
  readonly batches: readonly EncodedRecordBatch[];
}

export interface ProducedPartition extends TopicPartition {
  readonly errorCode: number;
  /** The broker's own words, or null. */
  readonly errorMessage: string | null;
}

export const produceApi: Api<ProduceRequest, readonly ProducedPartition[]> = {
  name: 'Produce',
  key: 0,
  minVersion: 7,
  maxVersion: 8,
  flexibleFrom: 9,
  encode({ transactionalId, timeoutMs, batches }) {
    const writer = new WireWriter().string(transactionalId).int16(ALL_REPLICAS).int32(timeoutMs);
    return writer.array(byTopic(batches), ([topic, together]) => {
      writer.string(topic).array(together, ({ partition, bytes }) => {
        writer.int32(partition).bytes(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      });
    });
  },
  parse(reader, version) {
    const topics = reader.array(() => {
      const topic = reader.string();
      return reader.array((): ProducedPartition => {
        const partition = reader.int32();
        const errorCode = reader.int16();
        reader.view(3 * 8); // base_offset, log_append_time, log_start_offset
        if (version < 8) return { topic, partition, errorCode, errorMessage: null };
        const records = reader.array(() => {
          reader.int32(); // batch_index
          return reader.nullableString();
        });
        return { topic, partition, errorCode, errorMessage: reader.nullableString() ?? records[0] ?? null };
      });
    });
    return topics.flat();
  },
};

const MESSAGE_TOO_LARGE = 10;
const RECORD_LIST_TOO_LARGE = 18;
const INVALID_TIMESTAMP = 32;
const DUPLICATE_SEQUENCE_NUMBER = 46;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53;

/**
 * What became of one batch.
 *
 * @param address Of the broker.
 * @returns null if the partition has it, once.
 */
export function produceError(
  batch: EncodedRecordBatch,
  { errorCode, errorMessage }: Pick<ProducedPartition, 'errorCode' | 'errorMessage'>,
  transactionalId: string,
  address: string,
): OffloadError | null {
  // The answer to an earlier attempt was lost.
  if (errorCode === 0 || errorCode === DUPLICATE_SEQUENCE_NUMBER) return null;
  const { topic, partition, rows } = batch;
  const records = rows === 1 ? 'a record' : `${rows} records`;
  const attempt = `cannot write ${records} to ${topic}/${partition} at broker ${address} as transactional id ${transactionalId}`;
  const permission =
    errorCode === TRANSACTIONAL_ID_AUTHORIZATION_FAILED
      ? `Write on transactional id ${transactionalId}`
      : `Write on topic ${topic}`;
  return brokerError(errorCode, attempt, permission, settingHint(batch, errorCode) ?? errorMessage ?? undefined);
}

/** What the batch has and which setting of the topic forbids it; null where no setting does. */
function settingHint({ topic, rows, bytes, maxTimestampMs }: EncodedRecordBatch, errorCode: number): string | null {
  const size = `${rows === 1 ? 'the record' : 'the batch'} has ${bytes.length} bytes as sent`;
  const smaller = rows === 1 ? '' : ', or write smaller batches';
  switch (errorCode) {
    case MESSAGE_TOO_LARGE:
      return `${size}; raise max.message.bytes of topic ${topic}, or message.max.bytes of its brokers, above that${smaller}`;
    case RECORD_LIST_TOO_LARGE:
      return `${size}; raise segment.bytes of topic ${topic} above that${smaller}`;
    case INVALID_TIMESTAMP:
      return (
        `the latest time is ${maxTimestampMs} ms since 1970; see message.timestamp.after.max.ms of topic ${topic}, ` +
        'message.timestamp.before.max.ms and, before Kafka 3.6, message.timestamp.difference.max.ms'
      );
    default:
      return null;
  }
}
