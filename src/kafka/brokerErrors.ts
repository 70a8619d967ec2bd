import { protocolErrorsCodesById } from '@platformatic/kafka';
import { type ErrorCode, OffloadError } from '../errors.ts';

/** Error codes of the Kafka protocol that call for more than "the broker refused". */
const CODES: Readonly<Record<number, ErrorCode>> = {
  1: 'OFFSET_OUT_OF_RANGE',
  3: 'LEADER_MOVED', // UNKNOWN_TOPIC_OR_PARTITION: also what a broker says that has not heard of the topic yet
  5: 'LEADER_MOVED', // LEADER_NOT_AVAILABLE
  6: 'LEADER_MOVED', // NOT_LEADER_OR_FOLLOWER
  7: 'BROKER_TIMEOUT', // REQUEST_TIMED_OUT
  8: 'BROKER_UNREACHABLE', // BROKER_NOT_AVAILABLE
  9: 'LEADER_MOVED', // REPLICA_NOT_AVAILABLE
  13: 'BROKER_UNREACHABLE', // NETWORK_EXCEPTION
  29: 'NOT_AUTHORIZED', // TOPIC_AUTHORIZATION_FAILED
  30: 'NOT_AUTHORIZED', // GROUP_AUTHORIZATION_FAILED
  31: 'NOT_AUTHORIZED', // CLUSTER_AUTHORIZATION_FAILED
  53: 'NOT_AUTHORIZED', // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  56: 'LEADER_MOVED', // KAFKA_STORAGE_ERROR: the replica is going away
  58: 'BROKER_REFUSED', // SASL_AUTHENTICATION_FAILED
  74: 'LEADER_MOVED', // FENCED_LEADER_EPOCH
  75: 'LEADER_MOVED', // UNKNOWN_LEADER_EPOCH
  78: 'LEADER_MOVED', // OFFSET_NOT_AVAILABLE: the new leader's high watermark lags (KIP-207)
  89: 'BROKER_TIMEOUT', // THROTTLING_QUOTA_EXCEEDED
};

/** Name of a protocol error, as Kafka's documentation spells it. */
export function protocolErrorName(errorCode: number): string {
  return protocolErrorsCodesById[errorCode] ?? `error ${errorCode}`;
}

/**
 * An error code of an answer, as one of ours.
 *
 * @param attempt What was attempted, on what: `cannot read orders/3 at offset 1200 from broker 10.0.0.1:9092`.
 */
export function brokerError(errorCode: number, attempt: string): OffloadError {
  const code = CODES[errorCode] ?? 'BROKER_REFUSED';
  const name = protocolErrorName(errorCode);
  const hint = code === 'NOT_AUTHORIZED' ? '; the user needs the permission for it (kafka-acls)' : '';
  return new OffloadError(code, `${attempt}: ${name}${hint}`, { context: { errorCode, name } });
}
