import type { CastType, SourceColumn } from '../config/fields.ts';

/**
 * The casts each column of a message can take, the type of the bare column first. Free of Arrow, so that the
 * configuration can refuse a field before anything heavy is loaded.
 *
 * - `timestamp as LONG` is whole seconds since the epoch, rounded down, and `timestamp as STRING` is
 *   `yyyy-MM-dd HH:mm:ss[.SSS]` in UTC, both as Spark's casts give them; DATE is the day in UTC.
 * - A message without a timestamp has -1 in Kafka, which is the millisecond before the epoch in every cast.
 */
export const allowedCasts: Readonly<Record<SourceColumn, readonly [CastType, ...CastType[]]>> = {
  key: ['BINARY', 'STRING'],
  value: ['BINARY', 'STRING'],
  topic: ['STRING'],
  partition: ['INT', 'LONG', 'STRING'],
  offset: ['LONG', 'INT', 'STRING'],
  timestamp: ['TIMESTAMP', 'LONG', 'DATE', 'STRING'],
  timestampType: ['INT'],
  headers: ['HEADERS'],
};
