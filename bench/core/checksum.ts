import { DuckDBInstance } from '@duckdb/node-api';

/**
 * Rows of Parquet files and the sum of their hashes, which does not depend on the order or on how files are cut. Writers
 * differ in the type of the time stamp (INT96, micro- or milliseconds): milliseconds are compared, which is what Kafka has.
 *
 * @param glob Files with the columns of the benches: key, value, partition, offset, timestamp.
 */
export async function checksumOf(glob: string): Promise<{ rows: number; checksum: string }> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const reader = await connection.runAndReadAll(`
      SELECT count(*)::DOUBLE, sum(hash(key, value, partition::INTEGER, "offset"::BIGINT,
        epoch_ms("timestamp"::TIMESTAMP)))::VARCHAR FROM read_parquet('${glob.replaceAll("'", "''")}')`);
    const [rows, checksum] = reader.getRows()[0] ?? [];
    return { rows: Number(rows), checksum: String(checksum) };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
