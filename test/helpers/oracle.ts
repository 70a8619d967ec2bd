import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { binaryToLines } from './binaryFiles.ts';

/** Rows that differ, in words, and how many there are on either side. */
export interface Difference {
  readonly produced: number;
  readonly found: number;
  /** Produced and not found, or not as often. */
  readonly missing: number;
  /** Found and not produced, or more often. */
  readonly unexpected: number;
  /** Where the rows of both kinds are, by partition, and the first of them, for the failure message. */
  readonly examples: readonly string[];
}

export type OracleFormat = 'parquet' | 'json' | 'csv' | 'avro' | 'msgpack';

const COLUMNS = 'partition, "offset", timestamp_ms, timestamp_type, key, value, headers';

/** Every column of a message; `key` and `value` are BINARY. */
export const ORACLE_FIELDS = [
  'key',
  'value',
  'partition as INT',
  'offset as LONG',
  'timestamp as TIMESTAMP',
  'timestampType',
  'headers',
];

/**
 * Compares files with what the producing side recorded, in DuckDB: no code is shared with the decoder or the writer.
 *
 * Files must have the columns of `ORACLE_FIELDS`.
 */
export class Oracle {
  readonly #connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  /** Comparisons use the same tables, one after another. */
  #comparing: Promise<unknown> = Promise.resolve();

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async open(): Promise<Oracle> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run(
      `CREATE TABLE messages (n INTEGER, key BLOB, value BLOB, headers STRUCT(key VARCHAR, value BLOB)[])`,
    );
    return new Oracle(instance, connection);
  }

  /** Takes in the messages of a script (script.ts). */
  async addScript(path: string): Promise<void> {
    await this.#connection.run(`
      INSERT INTO messages
      SELECT n, unhex(key), unhex(value), list_transform(headers, lambda h: {key: h[1], value: unhex(h[2])})
      FROM read_json('${path}', format = 'newline_delimited', maximum_object_size = 33554432,
        columns = {op: 'VARCHAR', n: 'INTEGER', key: 'VARCHAR', value: 'VARCHAR', headers: 'VARCHAR[][]'})
      WHERE op = 'send'`);
  }

  /**
   * Sets what is to be found: the committed messages of these records (producers.ts).
   *
   * @param positions Lines of JSON with partition and offset; when given, only messages at these are expected.
   */
  async expect(records: readonly string[], positions: string | null = null): Promise<void> {
    const kept = `read_json('${positions}', columns = {partition: 'INTEGER', "offset": 'BIGINT'})`;
    await this.#connection.run(`
      CREATE OR REPLACE TABLE produced AS
      SELECT partition, "offset", timestamp AS timestamp_ms, timestampType AS timestamp_type, key, value, headers
      FROM read_csv(${list(records)}, header = true, columns = {n: 'INTEGER', partition: 'INTEGER', "offset": 'BIGINT',
        timestamp: 'BIGINT', timestampType: 'INTEGER', committed: 'BOOLEAN'}) JOIN messages USING (n)
      WHERE committed ${positions === null ? '' : `AND (partition, "offset") IN (FROM ${kept} SELECT (partition, "offset"))`}`);
  }

  /**
   * Compares the expected messages with the rows of these files: paths, and for the formats DuckDB reads also globs.
   * CSV must have no header, and `"` as its escape. Those asked for at the same time follow one another.
   */
  compare(files: readonly string[], format: OracleFormat = 'parquet'): Promise<Difference> {
    const result = this.#comparing.then(() => this.#compare(files, format));
    this.#comparing = result.catch(() => {});
    return result;
  }

  /** The one number a query gives. */
  async number(query: string): Promise<number> {
    const rows = (await this.#connection.runAndReadAll(query)).getRows();
    return Number(rows[0]?.[0]);
  }

  count(table: string): Promise<number> {
    return this.number(`SELECT count(*) FROM ${table}`);
  }

  /** Rows of a query as plain JSON values. */
  async rows(query: string): Promise<Record<string, unknown>[]> {
    return (await this.#connection.runAndReadAll(query)).getRowObjectsJson() as Record<string, unknown>[];
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async #compare(files: readonly string[], format: OracleFormat): Promise<Difference> {
    await this.#connection.run(`
      CREATE OR REPLACE TEMP VIEW found AS
      SELECT partition, "offset", epoch_ms("timestamp") AS timestamp_ms, "timestampType" AS timestamp_type, key, value,
        coalesce(headers, []) AS headers
      FROM ${await source(files, format)}`);
    await this.#connection.run(`CREATE OR REPLACE TEMP TABLE rows_found AS SELECT ${COLUMNS} FROM found`);
    await this.#except('missing', 'produced', 'rows_found');
    await this.#except('unexpected', 'rows_found', 'produced');
    return {
      produced: await this.count('produced'),
      found: await this.count('rows_found'),
      missing: await this.count('missing'),
      unexpected: await this.count('unexpected'),
      examples: [...(await this.#examples('missing')), ...(await this.#examples('unexpected'))],
    };
  }

  async #except(name: string, left: string, right: string): Promise<void> {
    await this.#connection.run(`
      CREATE OR REPLACE TEMP TABLE ${name} AS
      SELECT ${COLUMNS} FROM ${left} EXCEPT ALL SELECT ${COLUMNS} FROM ${right}`);
  }

  async #examples(table: string): Promise<string[]> {
    const spans = await this.rows(`
      SELECT partition, count(*)::INTEGER AS rows, min("offset")::INTEGER AS first, max("offset")::INTEGER AS last
      FROM ${table} GROUP BY partition ORDER BY partition`);
    const rows = await this.rows(`
      SELECT partition, "offset", timestamp_ms, timestamp_type, left(hex(key), 80) AS key, left(hex(value), 80) AS value,
        octet_length(value) AS bytes, left(headers::VARCHAR, 200) AS headers
      FROM ${table} ORDER BY partition, "offset" LIMIT 3`);
    return [...spans, ...rows].map((row) => `${table}: ${JSON.stringify(row)}`);
  }
}

function list(paths: readonly string[]): string {
  return `[${paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ')}]`;
}

/** Rows of files with the columns of a Parquet file of ours. */
async function source(files: readonly string[], format: OracleFormat): Promise<string> {
  if (format === 'parquet') return `read_parquet(${list(files)})`;
  if (format === 'csv') {
    const columns = `{key: 'VARCHAR', value: 'VARCHAR', partition: 'INTEGER', "offset": 'BIGINT', timestamp: 'VARCHAR',
      timestampType: 'INTEGER', headers: 'VARCHAR'}`;
    const dialect = `auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false`;
    return fromText(
      `read_csv(${list(files)}, header = false, ${dialect}, max_line_size = 33554432, columns = ${columns})`,
      `from_json(headers, '[{"key":"VARCHAR","value":"VARCHAR"}]')`,
    );
  }
  const lines = format === 'json' ? files : await Promise.all(files.map((file) => binaryToLines(file, format)));
  const columns = `{key: 'VARCHAR', value: 'VARCHAR', partition: 'INTEGER', "offset": 'BIGINT', timestamp: 'VARCHAR',
    timestampType: 'INTEGER', headers: 'STRUCT(key VARCHAR, value VARCHAR)[]'}`;
  const shape = `format = 'newline_delimited', maximum_object_size = 33554432`;
  return fromText(`read_json(${list(lines)}, ${shape}, columns = ${columns})`, 'headers');
}

/** Bytes are base64 where a format has text alone. */
function fromText(rows: string, headers: string): string {
  return `(SELECT from_base64(key) AS key, from_base64(value) AS value, partition, "offset", "timestampType",
    rtrim("timestamp", 'Z')::TIMESTAMP AS "timestamp",
    list_transform(${headers}, lambda h: {key: h.key, value: from_base64(h.value)}) AS headers FROM ${rows})`;
}
