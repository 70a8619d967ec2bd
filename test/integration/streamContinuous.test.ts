import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Cluster } from '../../src/kafka/cluster.ts';
import type { FlowJob } from '../../src/stream/continuous/outlets.ts';
import type { StreamFlow } from '../../src/stream/types.ts';
import { built } from '../helpers/built.ts';
import { LoadJob } from '../helpers/loads.ts';
import { SoloMember } from '../helpers/soloMember.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';

/** Rows that are passed on as they come, on a real broker: by the flow itself, which the loop of a stream drives. */

let workspace: Workspace;
const flows: StreamFlow[] = [];
const clusters: Cluster[] = [];
const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
});

afterAll(async () => {
  for (const flow of flows) await flow.close();
  for (const cluster of clusters) cluster.close();
  await workspace.close();
});

async function open(job: FlowJob, group: string, topic: string, lines: string[] = []) {
  const { Cluster: BuiltCluster } = await built<typeof import('../../src/kafka/cluster.ts')>('kafka/cluster');
  const { openContinuous } = await built<typeof import('../../src/stream/continuous/openContinuous.ts')>(
    'stream/continuous/openContinuous',
  );
  const source = new BuiltCluster(job.source.kafka.connection);
  clusters.push(source);
  const member = new SoloMember(source, group);
  const signal = new AbortController().signal;
  const print = (line: string): void => void lines.push(line);
  const flow = await openContinuous({ job, member, source, topics: [{ topic }], log: QUIET, print, signal });
  flows.push(flow);
  return { flow, member };
}

function placesOf(topic: string, partitions: number) {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
}

async function begin({ flow, member }: Awaited<ReturnType<typeof open>>, places: ReturnType<typeof placesOf>) {
  await flow.claim?.(places);
  const positions = await flow.resume(await member.committed(places), {});
  const known = new Map(positions.map((position) => [position.partition, position.offset]));
  await flow.start(places.map((place) => ({ ...place, offset: known.get(place.partition) ?? 0 })));
}

test('records flow before they are committed, 5,000 in all, and partitions come and go', async () => {
  const topic = await workspace.topics.create('flow-source', { partitions: 3 });
  const values = await workspace.send(topic, 2_000, [0, 1, 2]);
  const load = await LoadJob.make(workspace, { from: topic, sink: { partitions: 2 } });
  const job = { ...(await load.job()), workers: 2 };
  const stream = await open(job, randomName('group'), topic);
  const places = placesOf(topic, 3);
  await begin(stream, places.slice(0, 2));
  const ends = async () => (await load.topics.endOffsets(load.to)).reduce((sum, end) => sum + end, 0);
  const first = values.filter((_, index) => index % 3 < 2);
  await waitFor('rows before their commit', async () => (await ends()) >= first.length);
  expect(await load.values()).toEqual([]);
  expect(await stream.flow.commit()).toMatchObject({ outcome: { kind: 'written', rows: first.length } });
  expect(await load.values()).toEqual(sorted(first));
  expect(await stream.member.committed(places)).toMatchObject([{ offset: 667 }, { offset: 667 }, { offset: null }]);
  expect(await stream.flow.commit()).toBeNull();

  await begin(stream, places.slice(2));
  await stream.flow.stop(places.slice(0, 1));
  values.push(...(await workspace.send(topic, 3_000, [1, 2])));
  await waitFor('the rest', async () => {
    await stream.flow.commit();
    return (await stream.member.committed(places)).every(({ offset }, partition) => {
      return offset === [667, 667 + 1_500, 666 + 1_500][partition];
    });
  });
  expect(await load.values()).toEqual(sorted(values));
  // Nothing is read of a partition that was given back.
  await workspace.send(topic, 10, [0]);
  expect(await stream.flow.stop(places.slice(1))).toBeNull();
  expect(await load.values()).toHaveLength(5_000);
});

test('whoever is overtaken leaves nothing, and begins again from what the group has', async () => {
  const topic = await workspace.topics.create('flow-overtaken');
  const values = await workspace.send(topic, 200);
  const load = await LoadJob.make(workspace, { from: topic, sink: { partitions: 1 } });
  const job = await load.job();
  const group = randomName('group');
  const places = placesOf(topic, 1);
  const [first, second] = [await open(job, group, topic), await open(job, group, topic)];
  await begin(first, places);
  await waitFor('rows', async () => ((await load.topics.endOffsets(load.to))[0] ?? 0) >= 200);
  await begin(second, places);
  const overtaken = await first.flow.commit();
  expect(overtaken).toMatchObject({ outcome: { kind: 'overtaken' } });
  await waitFor('the commit of the other', async () => (await second.flow.commit())?.outcome.kind === 'overtaken');
  await begin(second, places);
  await waitFor('its rows', async () => (await second.flow.commit())?.outcome.kind === 'written');
  expect(await load.values()).toEqual(sorted(values));
});

test('the console shows rows as they come, so many of each interval', async () => {
  const topic = await workspace.topics.create('flow-console');
  const values = await workspace.send(topic, 30);
  const load = await LoadJob.make(workspace, {
    from: topic,
    source: { fields: ['value as STRING', 'offset as LONG'] },
  });
  const job = { ...(await load.job()), sink: { kind: 'console', numRows: 20, truncate: 7 } as const };
  const lines: string[] = [];
  const stream = await open(job, randomName('group'), topic, lines);
  const places = placesOf(topic, 1);
  await begin(stream, places);
  await waitFor('rows', async () => lines.length === 21);
  expect(lines.slice(0, 2)).toEqual(['value | offset', `${values[0]?.slice(0, 4)}... | 0`]);
  expect(await stream.flow.commit()).toMatchObject({ outcome: { kind: 'written', rows: 30 } });
  expect(lines.slice(21)).toEqual(['... 10 more rows']);
  expect(await stream.member.committed(places)).toMatchObject([{ offset: 30 }]);
});
