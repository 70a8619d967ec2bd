/**
 * Streams: how long a message takes to a readable file and to a reader of another topic, and how much passes when more is
 * there than can be taken. Producer, broker, stream and reader share the machine.
 */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import rdkafka from 'node-rdkafka';
import { randomName } from '../../test/helpers/topics.ts';
import { STREAM_SERIES } from '../core/names.ts';
import { finishBench } from '../core/output.ts';
import type { Input, Result, Series } from '../core/results.ts';
import { fillTopic } from '../core/topic.ts';
import { type Workspace, withWorkspace } from '../core/workspace.ts';
import { PacedProducer } from './pacedProducer.ts';
import { RunningStream, type StreamEnd } from './runningStream.ts';

const PARTITIONS = 8;
const FILES_PER_SECOND = 20_000;
const FLOW_PER_SECOND = 5_000;
/** What is sent before: the first micro-batch loads threads and encoders. */
const WARM_UP_SECONDS = 3;

export interface StreamBenchOptions {
  /** Of each measurement of latency. */
  readonly seconds: number;
  /** Of the backlog. */
  readonly messages: number;
}

export async function runStreamBench({ seconds, messages }: StreamBenchOptions): Promise<void> {
  const startedAt = new Date();
  const series = await withWorkspace(async (workspace) => [
    await measureFiles(workspace, seconds),
    await measureFlow(workspace, seconds),
    await measureBacklog(workspace, messages),
  ]);
  finishBench('stream', startedAt, series);
}

const loadAverage = (): number => loadavg()[0] ?? 0;

/** From the time of a message to that at which its file was linked into the target. */
async function measureFiles(workspace: Workspace, seconds: number): Promise<Series> {
  const topic = await workspace.topics.create('bench-stream', { partitions: PARTITIONS });
  const out = join(workspace.folder, randomName('out'));
  const producer = await PacedProducer.open(workspace.bootstrapServers, 5);
  const conf = configure(workspace, topic, ['value as STRING', 'timestamp as TIMESTAMP']);
  const trigger = ['--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', '1 second'];
  const loadBefore = loadAverage();
  const stream = new RunningStream(
    ['--conf', conf, '--config', 'events', '--write-path', out, ...trigger],
    workspace.folder,
  );
  await stream.says('ours now');
  await producer.send(topic, PARTITIONS, FILES_PER_SECOND, WARM_UP_SECONDS);
  const measuredFrom = Date.now();
  await producer.send(topic, PARTITIONS, FILES_PER_SECOND, seconds);
  await untilRows(stream, producer.sent.rows);
  const end = await stream.stop();
  await producer.close();
  const latencyMs = await fileLatency(out, measuredFrom);
  const input = { ...producer.sent, partitions: PARTITIONS, codec: 'lz4' };
  checkRows(end, input.rows);
  return seriesOf(
    STREAM_SERIES.files,
    input,
    resultOf('every second to Parquet', input, end, loadBefore, { latencyMs }),
  );
}

/** From the time of a message to that at which a reader of the target, under read_uncommitted, has it. */
async function measureFlow(workspace: Workspace, seconds: number): Promise<Series> {
  const topic = await workspace.topics.create('bench-flow', { partitions: PARTITIONS });
  const copy = await workspace.topics.create('bench-flowed', { partitions: PARTITIONS });
  const producer = await PacedProducer.open(workspace.bootstrapServers, 0);
  const conf = configure(workspace, topic, null, copy);
  const trigger = ['--streaming-trigger', 'Continuous', '--streaming-trigger-option', '100 milliseconds'];
  const reader = await openReader(workspace.bootstrapServers, copy);
  const loadBefore = loadAverage();
  const stream = new RunningStream(
    ['--conf', conf, '--config', 'events', '--write-config', 'copy', ...trigger],
    workspace.folder,
  );
  await stream.says('ours now');
  await producer.send(topic, PARTITIONS, FLOW_PER_SECOND, WARM_UP_SECONDS);
  const measuredFrom = Date.now();
  await producer.send(topic, PARTITIONS, FLOW_PER_SECOND, seconds);
  await reader.until(producer.sent.rows);
  const end = await stream.stop();
  await Promise.all([producer.close(), reader.close()]);
  const input = { ...producer.sent, partitions: PARTITIONS, codec: 'lz4' };
  checkRows(end, input.rows);
  const latencyMs = quantiles(reader.latencies(measuredFrom));
  return seriesOf(
    STREAM_SERIES.flow,
    input,
    resultOf('continuously to a topic', input, end, loadBefore, { latencyMs }),
  );
}

/** From the first micro-batch to the last commit, of what was there before. */
async function measureBacklog(workspace: Workspace, messages: number): Promise<Series> {
  const shape = { messages, partitions: PARTITIONS, codec: 'lz4', valueBytes: null } as const;
  const { topic, input } = await fillTopic(workspace.bootstrapServers, workspace.topics, shape);
  const out = join(workspace.folder, randomName('out'));
  const conf = configure(workspace, topic, ['key as STRING', 'value as STRING', 'timestamp as TIMESTAMP']);
  const trigger = ['--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', '10 seconds'];
  const loadBefore = loadAverage();
  const stream = new RunningStream(
    ['--conf', conf, '--config', 'events', '--write-path', out, ...trigger],
    workspace.folder,
  );
  await stream.says('ours now');
  const began = performance.now();
  await untilRows(stream, input.rows);
  const dataSeconds = (performance.now() - began) / 1000;
  const end = await stream.stop();
  checkRows(end, input.rows);
  return seriesOf(
    STREAM_SERIES.backlog,
    input,
    resultOf('every 10 seconds to Parquet', input, end, loadBefore, { dataSeconds }),
  );
}

function configure(workspace: Workspace, topic: string, fields: readonly string[] | null, copy?: string): string {
  const { bootstrapServers, folder } = workspace;
  const path = join(folder, `${randomName('stream')}.json`);
  const kafka = {
    serverOptions: { 'bootstrap.servers': bootstrapServers },
    topics: {
      events: { topicName: topic, ...(fields && { fields }), accessOptions: { 'group.id': randomName('bench') } },
      ...(copy !== undefined && { copy: { topicName: copy, partitions: PARTITIONS } }),
    },
  };
  writeFileSync(path, JSON.stringify({ kafka }));
  return path;
}

/** Waits until the log tells of so many rows. */
async function untilRows(stream: RunningStream, rows: number): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const written = stream.log.reduce(
      (sum, line) => sum + (typeof line.batch === 'number' ? Number(line.rows ?? 0) : 0),
      0,
    );
    if (written >= rows) return;
    if (performance.now() > deadline) throw new Error(`${written} of ${rows} rows were written within two minutes`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function checkRows({ report }: StreamEnd, rows: number): void {
  if (report.rows !== rows) throw new Error(`${report.rows} rows were written, and ${rows} messages sent`);
}

async function fileLatency(out: string, measuredFrom: number): Promise<NonNullable<Result['latencyMs']>> {
  const files = readdirSync(out)
    .filter((name) => name.endsWith('.parquet'))
    .map((name) => ({ path: join(out, name), visibleAtMs: statSync(join(out, name)).ctimeMs }));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const values = files.map(({ path, visibleAtMs }) => `('${path}', ${visibleAtMs}::DOUBLE)`).join(', ');
  const reader = await connection.runAndReadAll(
    `WITH files(path, visible) AS (VALUES ${values}),
      rows AS (SELECT filename, epoch_ms(timestamp) AS sent FROM read_parquet('${out}/*.parquet', filename = true))
    SELECT quantile_cont(visible - sent, [0.5, 0.99, 1.0])::DOUBLE[] FROM rows JOIN files ON path = filename WHERE sent >= ${measuredFrom}`,
  );
  const [p50 = 0, p99 = 0, most = 0] = (reader.getRowsJson()[0]?.[0] ?? []) as number[];
  connection.closeSync();
  instance.closeSync();
  return { p50, p99, most };
}

async function openReader(bootstrapServers: string, topic: string) {
  const consumer = new rdkafka.KafkaConsumer(
    {
      'bootstrap.servers': bootstrapServers,
      'group.id': randomName('reader'),
      'isolation.level': 'read_uncommitted',
      'fetch.wait.max.ms': 100,
      'fetch.min.bytes': 1,
      'enable.auto.commit': false,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  const seen: [sent: number, latency: number][] = [];
  consumer.on('data', ({ timestamp }) => {
    const sent = timestamp ?? 0;
    seen.push([sent, Date.now() - sent]);
  });
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())));
  consumer.assign(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, offset: 0 })));
  consumer.consume();
  return {
    latencies: (from: number) => seen.filter(([sent]) => sent >= from).map(([, latency]) => latency),
    until: async (rows: number): Promise<void> => {
      const deadline = performance.now() + 60_000;
      while (seen.length < rows) {
        if (performance.now() > deadline)
          throw new Error(`${seen.length} of ${rows} messages were read within a minute`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    close: () => new Promise<void>((resolve) => consumer.disconnect(() => resolve())),
  };
}

function quantiles(values: readonly number[]): NonNullable<Result['latencyMs']> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), most: sorted.at(-1) ?? 0 };
}

function resultOf(
  contender: string,
  input: Input,
  { seconds, cpuSeconds, peakRssBytes }: StreamEnd,
  loadBefore: number,
  measured: Pick<Result, 'latencyMs' | 'dataSeconds'>,
): Result {
  const rateSeconds = measured.dataSeconds ?? seconds;
  return {
    contender,
    isOurs: true,
    rowsPerSecond: input.rows / rateSeconds,
    mebibytesPerSecond: input.messageBytes / 1024 ** 2 / rateSeconds,
    seconds,
    cpuSeconds,
    peakRssBytes,
    ...measured,
    runs: [{ seconds, cpuSeconds, peakRssBytes, loadBefore }],
  };
}

function seriesOf(name: string, input: Input, result: Result): Series {
  return { name, input, rounds: 1, results: [result] };
}
