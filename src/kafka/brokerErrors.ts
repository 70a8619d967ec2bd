import { type ErrorCode, OffloadError } from '../errors.ts';

/** What FENCED means to a member of a group. */
const WITHOUT_MEMBER = '; the group went on without this member';

/** Name of each protocol error we can meet, as Kafka's documentation spells it, which of ours it is, and its own hint. */
const ERRORS: Readonly<Record<number, readonly [name: string, code: ErrorCode, hint?: string]>> = {
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
  10: ['MESSAGE_TOO_LARGE', 'BATCH_TOO_LARGE'],
  12: ['OFFSET_METADATA_TOO_LARGE', 'BROKER_REFUSED'],
  13: ['NETWORK_EXCEPTION', 'BROKER_UNREACHABLE'],
  14: ['COORDINATOR_LOAD_IN_PROGRESS', 'LEADER_MOVED'],
  15: ['COORDINATOR_NOT_AVAILABLE', 'LEADER_MOVED'],
  16: ['NOT_COORDINATOR', 'LEADER_MOVED'],
  17: ['INVALID_TOPIC_EXCEPTION', 'BROKER_REFUSED'],
  18: ['RECORD_LIST_TOO_LARGE', 'BATCH_TOO_LARGE'],
  19: ['NOT_ENOUGH_REPLICAS', 'BROKER_UNREACHABLE'],
  20: ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'BROKER_UNREACHABLE'],
  22: ['ILLEGAL_GENERATION', 'FENCED', WITHOUT_MEMBER],
  23: ['INCONSISTENT_GROUP_PROTOCOL', 'BROKER_REFUSED'],
  24: ['INVALID_GROUP_ID', 'BROKER_REFUSED'],
  25: ['UNKNOWN_MEMBER_ID', 'FENCED', WITHOUT_MEMBER],
  26: ['INVALID_SESSION_TIMEOUT', 'BROKER_REFUSED'],
  27: ['REBALANCE_IN_PROGRESS', 'BROKER_TIMEOUT'],
  28: ['INVALID_COMMIT_OFFSET_SIZE', 'BROKER_REFUSED'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  30: ['GROUP_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  31: ['CLUSTER_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  32: ['INVALID_TIMESTAMP', 'BROKER_REFUSED'],
  33: ['UNSUPPORTED_SASL_MECHANISM', 'BROKER_REFUSED'],
  34: ['ILLEGAL_SASL_STATE', 'BROKER_REFUSED'],
  35: ['UNSUPPORTED_VERSION', 'FORMAT_UNSUPPORTED'],
  42: ['INVALID_REQUEST', 'BROKER_REFUSED'],
  43: ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'FORMAT_UNSUPPORTED'],
  44: ['POLICY_VIOLATION', 'BROKER_REFUSED'],
  45: ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'BROKER_REFUSED'],
  // Also what a producer gets whose transaction was open for too long: its coordinator aborts it under a higher epoch.
  47: ['INVALID_PRODUCER_EPOCH', 'FENCED'],
  48: ['INVALID_TXN_STATE', 'BROKER_REFUSED'],
  49: ['INVALID_PRODUCER_ID_MAPPING', 'BROKER_REFUSED'],
  50: ['INVALID_TRANSACTION_TIMEOUT', 'BROKER_REFUSED'],
  // The transaction before is not quite at its end.
  51: ['CONCURRENT_TRANSACTIONS', 'BROKER_TIMEOUT'],
  53: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'NOT_AUTHORIZED'],
  55: ['OPERATION_NOT_ATTEMPTED', 'BROKER_REFUSED'],
  // The replica is going away.
  56: ['KAFKA_STORAGE_ERROR', 'LEADER_MOVED'],
  58: ['SASL_AUTHENTICATION_FAILED', 'BROKER_REFUSED'],
  59: ['UNKNOWN_PRODUCER_ID', 'BROKER_REFUSED'],
  74: ['FENCED_LEADER_EPOCH', 'LEADER_MOVED'],
  75: ['UNKNOWN_LEADER_EPOCH', 'LEADER_MOVED'],
  76: ['UNSUPPORTED_COMPRESSION_TYPE', 'FORMAT_UNSUPPORTED'],
  // The new leader's high watermark lags (KIP-207).
  78: ['OFFSET_NOT_AVAILABLE', 'LEADER_MOVED'],
  79: ['MEMBER_ID_REQUIRED', 'BROKER_REFUSED'],
  81: ['GROUP_MAX_SIZE_REACHED', 'BROKER_REFUSED'],
  82: ['FENCED_INSTANCE_ID', 'FENCED', '; another process has joined the group with the same group.instance.id'],
  87: ['INVALID_RECORD', 'BROKER_REFUSED'],
  // An open transaction holds the offset (KIP-447).
  88: ['UNSTABLE_OFFSET_COMMIT', 'BROKER_TIMEOUT'],
  89: ['THROTTLING_QUOTA_EXCEEDED', 'BROKER_TIMEOUT'],
  90: ['PRODUCER_FENCED', 'FENCED'],
  120: ['TRANSACTION_ABORTABLE', 'BROKER_REFUSED'],
};

const HINTS: Readonly<Partial<Record<ErrorCode, (permission: string) => string>>> = {
  NOT_AUTHORIZED: (permission) => `; the user needs the permission ${permission} (kafka-acls)`,
  FENCED: () => '; a newer run has taken over, or the transaction was open for longer than its time-out',
};

/**
 * An error code of an answer, as one of ours.
 *
 * @param attempt What was attempted, on what: `cannot read orders/3 at offset 1200 from broker 10.0.0.1:9092`.
 * @param permission The one that the attempt takes: `Read on topic orders`.
 * @param detail What more is known: the broker's own words, or what to do.
 */
export function brokerError(errorCode: number, attempt: string, permission = 'for it', detail?: string): OffloadError {
  const [name, code, own] = ERRORS[errorCode] ?? [`error ${errorCode} of the Kafka protocol`, 'BROKER_REFUSED'];
  const hint = own ?? HINTS[code]?.(permission) ?? '';
  // A broker's own words may have several lines.
  const more = detail === undefined ? '' : ` (${detail.replace(/[\s\p{Cc}]+/gu, ' ').trim()})`;
  return new OffloadError(code, `${attempt}: ${name}${more}${hint}`, { context: { errorCode, name } });
}

/** True if it is the member of a group that is refused, since the group went on without it. */
export function isMemberFenced({ context }: OffloadError): boolean {
  return ERRORS[Number(context.errorCode)]?.[2] !== undefined;
}
