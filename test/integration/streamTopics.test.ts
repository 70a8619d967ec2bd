import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { TopicToTopicJob } from '../../src/coordinator/jobs.ts';
import type { Cluster } from '../../src/kafka/cluster.ts';
import type { BatchOutcome, StreamSink } from '../../src/stream/types.ts';
import type { OffsetRange } from '../../src/tasks.ts';
import { type KafkaCluster, startKafka } from '../helpers/broker.ts';
import { built } from '../helpers/built.ts';
import { LoadJob, type LoadOptions } from '../helpers/loads.ts';
import { SoloMember } from '../helpers/soloMember.ts';
import { randomName } from '../helpers/topics.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';

/** The sink of a stream from topic to topic on a real broker, and on two. */

let workspace: Workspace;
const opened: StreamSink[] = [];
const clusters: Cluster[] = [];
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(async () => {
  for (const sink of opened) await sink.close();
  for (const cluster of clusters) cluster.close();
  await workspace.close();
});

interface Stream {
  readonly load: LoadJob;
  readonly job: TopicToTopicJob;
  readonly group: string;
  readonly source: Cluster;
}

async function makeStream(from: string, options: LoadOptions = {}): Promise<Stream> {
  const load = await LoadJob.make(workspace, { from, sink: { partitions: 2, chunkRecords: 700 }, ...options });
  const job = await load.job();
  const { Cluster: BuiltCluster } = await built<typeof import('../../src/kafka/cluster.ts')>('kafka/cluster');
  const source = new BuiltCluster(job.source.kafka.connection);
  clusters.push(source);
  return { load, job, group: randomName('group'), source };
}

async function openSink({ job, group, source }: Stream, warnings: string[] = []) {
  const { openTopicSink } = await built<typeof import('../../src/stream/topicSink.ts')>('stream/topicSink');
  const member = new SoloMember(source, group);
  const log = { ...QUIET, warn: (line: string) => void warnings.push(line) };
  const topics = [{ topic: from(job) }];
  const sink = await openTopicSink({ job, member, source, topics, log, signal: new AbortController().signal });
  opened.push(sink);
  return { sink, member };
}

function from({ source }: TopicToTopicJob): string {
  return source.selection.kind === 'topics' ? (source.selection.topics[0] ?? '') : '';
}

const NEVER = new AbortController().signal;
let batches = 0;

function write(sink: StreamSink, ranges: readonly OffsetRange[], signal = NEVER): Promise<BatchOutcome> {
  batches += 1;
  return sink.write({ number: batches, ranges }, signal);
}

function placesOf(topic: string, partitions: number) {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
}

describe('on one cluster', () => {
  test('5,000 messages in micro-batches; rows and the offsets of the group are one transaction', async () => {
    const topic = await workspace.topics.create('stream-source', { partitions: 3 });
    const values = await workspace.send(topic, 5_000, [0, 1, 2]);
    const stream = await makeStream(topic);
    const { sink, member } = await openSink(stream);
    const places = placesOf(topic, 3);
    await sink.claim?.(places);
    expect(await sink.resume(await member.committed(places), {})).toEqual([]);
    const first = places.map((place) => ({ ...place, startOffset: 0, endOffset: 1_000 }));
    expect(await write(sink, first)).toMatchObject({ kind: 'written', rows: 3_000, isGroupCommitted: true });
    expect(await member.committed(places)).toEqual(places.map((place) => ({ ...place, offset: 1_000 })));
    const second = first.map((range, partition) => ({
      ...range,
      startOffset: 1_000,
      endOffset: partition < 2 ? 1_667 : 1_666,
    }));
    expect(await write(sink, second)).toMatchObject({ kind: 'written', rows: 2_000 });
    expect(await stream.load.values()).toEqual(sorted(values));
    // The same again, as after an attempt of which nobody knows what became.
    expect(await write(sink, second)).toMatchObject({ kind: 'written', rows: 0 });
    expect(await stream.load.values()).toHaveLength(5_000);
  });

  test('a member of an older generation commits nothing, and goes on where the group is', async () => {
    const topic = await workspace.topics.create('stream-zombie');
    const values = await workspace.send(topic, 100);
    const stream = await makeStream(topic);
    const [zombie, next] = [await openSink(stream), await openSink(stream)];
    const places = placesOf(topic, 1);
    for (const { sink, member } of [zombie, next]) {
      await sink.claim?.(places);
      await sink.resume(await member.committed(places), {});
    }
    const range = { topic, partition: 0, startOffset: 0, endOffset: 60 };
    expect(await write(next.sink, [range])).toMatchObject({ kind: 'written', rows: 60 });
    // Fenced by the id of its partition, and then by its generation.
    const overtaken = { kind: 'overtaken', positions: [{ topic, partition: 0, offset: 60 }] };
    expect(await write(zombie.sink, [range])).toMatchObject(overtaken);
    zombie.member.outdate();
    expect(await write(zombie.sink, [{ ...range, endOffset: 100 }])).toMatchObject(overtaken);
    expect(await write(next.sink, [{ ...range, startOffset: 60, endOffset: 100 }])).toMatchObject({
      kind: 'overtaken',
      positions: [{ topic, partition: 0, offset: 60 }],
    });
    expect(await write(next.sink, [{ ...range, startOffset: 60, endOffset: 100 }])).toMatchObject({ rows: 40 });
    expect(await stream.load.values()).toEqual(sorted(values));
  });

  test('a micro-batch that is abandoned leaves nothing; what a partition is given back with is aborted by its next owner', async () => {
    const topic = await workspace.topics.create('stream-abandoned', { partitions: 2 });
    const values = await workspace.send(topic, 2_000, [0, 1]);
    const stream = await makeStream(topic);
    const places = placesOf(topic, 2);
    const { sink, member } = await openSink(stream);
    await sink.claim?.(places);
    await sink.resume(await member.committed(places), {});
    const ranges = places.map((place) => ({ ...place, startOffset: 0, endOffset: 1_000 }));
    const stop = new AbortController();
    const lose = (step: unknown): void => {
      if ((step as { readonly name: string }).name === 'stream.rowsSent')
        stop.abort(new Error('the partition is lost'));
    };
    subscribe('kafkaload:step', lose);
    try {
      await expect(write(sink, ranges, stop.signal)).rejects.toThrow('the partition is lost');
    } finally {
      unsubscribe('kafkaload:step', lose);
    }
    sink.release?.(places.slice(0, 1));
    const other = await openSink(stream);
    await other.sink.claim?.(places.slice(0, 1));
    expect(await other.sink.resume(await member.committed(places.slice(0, 1)), {})).toEqual([]);
    const [first, second] = ranges;
    const written = await Promise.all([write(other.sink, first ? [first] : []), write(sink, second ? [second] : [])]);
    expect(written).toMatchObject([
      { kind: 'written', rows: 1_000 },
      { kind: 'written', rows: 1_000 },
    ]);
    expect(await stream.load.values()).toEqual(sorted(values));
  });
});

describe('on two clusters', () => {
  let other: KafkaCluster;

  beforeAll(async () => {
    other = await startKafka();
  });

  afterAll(async () => {
    await other.stop();
  });

  test('rows and progress are one transaction of the target, and the group follows or is set by hand', async () => {
    const topic = await workspace.topics.create('stream-clusters', { partitions: 2 });
    const values = await workspace.send(topic, 300, [0, 1]);
    const stream = await makeStream(topic, { target: other.bootstrapServers });
    const places = placesOf(topic, 2);
    const warnings: string[] = [];
    const begin = async () => {
      const process = await openSink(stream, warnings);
      await process.sink.claim?.(places);
      return { ...process, positions: await process.sink.resume(await process.member.committed(places), {}) };
    };
    const first = await begin();
    expect(first.positions).toEqual([]);
    const ranges = places.map((place) => ({ ...place, startOffset: 0, endOffset: 100 }));
    expect(await write(first.sink, ranges)).toMatchObject({ kind: 'written', rows: 200, isGroupCommitted: false });
    // It dies before the commit of the group; the next one goes on all the same, and the one before is fenced.
    const second = await begin();
    expect(second.positions).toEqual(places.map((place) => ({ ...place, offset: 100 })));
    const rest = ranges.map((range) => ({ ...range, startOffset: 100, endOffset: 150 }));
    expect(await write(first.sink, rest)).toMatchObject({ kind: 'overtaken' });
    const third = await begin();
    expect(await write(third.sink, rest)).toMatchObject({ kind: 'written', rows: 100 });
    await third.member.commit(places.map((place) => ({ ...place, offset: 150 })));
    await third.sink.groupCommitted?.(places.map((place) => ({ ...place, offset: 150 })));
    expect((await begin()).positions).toEqual(places.map((place) => ({ ...place, offset: 150 })));
    expect(await stream.load.values()).toEqual(sorted(values));
    expect(warnings).toEqual([]);
    await third.member.commit([{ topic, partition: 1, offset: 140 }]);
    const last = await begin();
    expect(last.positions).toEqual([150, 140].map((offset, partition) => ({ topic, partition, offset })));
    expect(warnings).toEqual([expect.stringContaining(`the group's offset of ${topic}/1 is 140`)]);
  });
});
