/** Reads results back with readers that share no code with kafkaload: DuckDB for files, librdkafka for offsets. */
import { promisify } from 'node:util';

const TIMEOUT_MS = 10_000;

/** @returns The rows of one query as objects. */
export async function readRows(sql) {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return await (await connection.runAndReadAll(sql)).getRowObjects();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Reads the offsets topic from its beginning to its present end; the last record of a key counts.
 *
 * @param kafka The module node-rdkafka.
 * @returns Next offsets as they are stored, decimal text, by key `CONFIG/PARTITION`, sorted.
 */
export async function readSavedOffsets(kafka, bootstrapServers, topic, config) {
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': bootstrapServers,
      'group.id': 'kafkaload-demo',
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'isolation.level': 'read_committed',
    },
    { 'auto.offset.reset': 'earliest' },
  );
  const metadata = await promisify(consumer.connect.bind(consumer))({ topic, timeout: TIMEOUT_MS });
  const partitions = metadata.topics.find(({ name }) => name === topic).partitions;
  const saved = new Map();
  const atEnd = new Set();
  try {
    consumer.on('partition.eof', ({ partition }) => atEnd.add(partition));
    consumer.setDefaultConsumeTimeout(100);
    consumer.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })));
    const consume = promisify(consumer.consume.bind(consumer));
    const deadline = Date.now() + TIMEOUT_MS;
    while (atEnd.size < partitions.length) {
      if (Date.now() > deadline) throw new Error(`could not read ${topic} to its end within ${TIMEOUT_MS / 1000} s`);
      for (const { key, value } of await consume(100)) {
        const name = key?.toString() ?? '';
        if (!name.startsWith(`${config}/`)) continue;
        if (value === null) saved.delete(name);
        else saved.set(name, value.toString());
      }
    }
  } finally {
    await promisify(consumer.disconnect.bind(consumer))();
  }
  return new Map([...saved].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })));
}
