import { type ErrorCode, OffloadError } from '../errors.ts';

/** Name of each protocol error a reader can meet, as Kafka's documentation spells it, and which of ours it is. */
const ERRORS: Readonly<Record<number, readonly [name: string, code: ErrorCode]>> = {
  [-1]: ['UNKNOWN_SERVER_ERROR', 'BROKER_REFUSED'],
  1: ['OFFSET_OUT_OF_RANGE', 'OFFSET_OUT_OF_RANGE'],
  2: ['CORRUPT_MESSAGE', 'BATCH_CORRUPT'],
  // Also what a broker says that has not heard of the topic yet.
  3: ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_MOVED'],
  5: ['LEADER_NOT_AVAILABLE', 'LEADER_MOVED'],
  6: ['NOT_LEADER_OR_FOLLOWER', 'LEADER_MOVED'],
  7: ['REQUEST_TIMED_OUT', 'BROKER_TIMEOUT'],
  8: ['BROKER_NOT_AVAILABLE', 'BROKER_UNREACHABLE'],
  9: ['REPLICA_NOT_AVAILABLE', 'LEADER_MOVED'],
  13: ['NETWORK_EXCEPTION', 'BROKER_UNREACHABLE'],
  17: ['INVALID_TOPIC_EXCEPTION', 'BROKER_REFUSED'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  30: ['GROUP_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  31: ['CLUSTER_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  33: ['UNSUPPORTED_SASL_MECHANISM', 'BROKER_REFUSED'],
  34: ['ILLEGAL_SASL_STATE', 'BROKER_REFUSED'],
  35: ['UNSUPPORTED_VERSION', 'FORMAT_UNSUPPORTED'],
  42: ['INVALID_REQUEST', 'BROKER_REFUSED'],
  43: ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'FORMAT_UNSUPPORTED'],
  // The replica is going away.
  56: ['KAFKA_STORAGE_ERROR', 'LEADER_MOVED'],
  58: ['SASL_AUTHENTICATION_FAILED', 'BROKER_REFUSED'],
  74: ['FENCED_LEADER_EPOCH', 'LEADER_MOVED'],
  75: ['UNKNOWN_LEADER_EPOCH', 'LEADER_MOVED'],
  76: ['UNSUPPORTED_COMPRESSION_TYPE', 'FORMAT_UNSUPPORTED'],
  // The new leader's high watermark lags (KIP-207).
  78: ['OFFSET_NOT_AVAILABLE', 'LEADER_MOVED'],
  89: ['THROTTLING_QUOTA_EXCEEDED', 'BROKER_TIMEOUT'],
};

/**
 * An error code of an answer, as one of ours.
 *
 * @param attempt What was attempted, on what: `cannot read orders/3 at offset 1200 from broker 10.0.0.1:9092`.
 * @param permission The one that the attempt takes: `Read on topic orders`.
 */
export function brokerError(errorCode: number, attempt: string, permission = 'for it'): OffloadError {
  const [name, code] = ERRORS[errorCode] ?? [`error ${errorCode} of the Kafka protocol`, 'BROKER_REFUSED'];
  const hint = code === 'NOT_AUTHORIZED' ? `; the user needs the permission ${permission} (kafka-acls)` : '';
  return new OffloadError(code, `${attempt}: ${name}${hint}`, { context: { errorCode, name } });
}
