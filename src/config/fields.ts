/** A column of the source, as a Kafka message has it. */
export type SourceColumn =
  | 'key'
  | 'value'
  | 'topic'
  | 'partition'
  | 'offset'
  | 'timestamp'
  | 'timestampType'
  | 'headers';

/** A cast in Spark SQL's names; aliases (`BIGINT`, `INTEGER`, `VARCHAR`) are resolved to these. */
export type CastType = 'STRING' | 'BINARY' | 'INT' | 'LONG' | 'DOUBLE' | 'TIMESTAMP' | 'DATE' | 'HEADERS';

/** One output column: which source column, as which type, under which name. */
export interface Field {
  readonly name: string;
  readonly column: SourceColumn;
  readonly type: CastType;
}
