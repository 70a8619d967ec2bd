/** Rows of any source to record batches for the target, in a worker. */
import type { RecordBatch, Table } from 'apache-arrow';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder, topicsOf } from '../../encode/records/recordEncoder.ts';
import { rowsAsJson } from '../../encode/records/rowsAsJson.ts';
import { OffloadError } from '../../errors.ts';
import { Cluster } from '../../kafka/cluster.ts';
import type { LoadSettings } from './chunks.ts';

export class RecordMaker {
  readonly #target: LoadSettings['target'];
  readonly #cluster: Cluster;
  readonly #partitionCounts: Map<string, number>;
  readonly #encoder: RecordEncoder;

  constructor(target: LoadSettings['target']) {
    this.#target = target;
    this.#cluster = new Cluster(target.connection);
    this.#partitionCounts = new Map([[target.topic, target.partitions]]);
    this.#encoder = new RecordEncoder({
      defaultTopic: target.topic,
      partitionCounts: this.#partitionCounts,
      compression: target.compression,
      maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
      headers: target.headers.map(({ key, value }) => ({ key, value: Buffer.from(value) })),
    });
  }

  /**
   * Rows without a column `value` are written as JSON, whole.
   *
   * @param rowName Names a row in errors, given its number in the table.
   * @throws OffloadError ROW_INVALID, FIELD_INVALID; USAGE for a topic that the job reads; TOPIC_UNKNOWN for a topic that a row names and that is not there:
   *   only the topic of the job is ever made.
   */
  async encode(rows: Table | RecordBatch, rowName: (row: number) => string): Promise<EncodedRecordBatch[]> {
    const hasValue = rows.schema.fields.some(({ name }) => name === 'value');
    const input = hasValue ? rows : rowsAsJson(rows);
    if (rows.schema.fields.some(({ name }) => name === 'topic')) await this.#lookUpTopics(input);
    return this.#encoder.encode(input, { defaultTimestampMs: Date.now(), rowName });
  }

  close(): void {
    this.#cluster.close();
  }

  async #lookUpTopics(input: Table | RecordBatch): Promise<void> {
    for (const topic of topicsOf(input, this.#target.topic)) {
      if (this.#partitionCounts.has(topic)) continue;
      if (this.#target.readTopics.includes(topic)) {
        throw new OffloadError(
          'USAGE',
          `cannot write to topic ${topic}, which a row names: this job reads it, on the same cluster, and would read the ` +
            'row again; give the column topic another name or another value',
          { context: { topic } },
        );
      }
      const found = await this.#cluster.findTopic(topic);
      if (!found) {
        throw new OffloadError(
          'TOPIC_UNKNOWN',
          `cannot write to topic ${topic}, which a row names: the target cluster has no such topic, and only ` +
            `${this.#target.topic} is made; make it, or leave the column topic out`,
          { context: { topic } },
        );
      }
      this.#partitionCounts.set(topic, found.partitions.length);
    }
  }
}
