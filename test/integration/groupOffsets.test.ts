import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import type { EncodedRecordBatch } from '../../src/encode/records/recordBatch.ts';
import { DEFAULT_MAX_BATCH_BYTES, RecordEncoder } from '../../src/encode/records/recordEncoder.ts';
import { brokerError } from '../../src/kafka/brokerErrors.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { CoordinatorLink } from '../../src/kafka/coordinatorLink.ts';
import { fetchGroupOffsets } from '../../src/kafka/groupOffsets.ts';
import { type GroupIdentity, joinGroupApi, leaveGroupApi, syncGroupApi } from '../../src/kafka/groupProtocol.ts';
import { TransactionalProducer } from '../../src/kafka/transactionalProducer.ts';
import { connectionSettings } from '../helpers/connectionSettings.ts';
import { readTopic } from '../helpers/producers.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { recordTable } from '../unit/encode/records/tables.ts';

/** Offsets of a group as part of a transaction, on a real broker. */

const MEMBER_ID_REQUIRED = 79;
const bootstrapServers = inject('bootstrapServers');

let topics: TestTopics;
let cluster: Cluster;
const producers: TransactionalProducer[] = [];

beforeAll(() => {
  topics = new TestTopics(bootstrapServers);
  cluster = new Cluster(connectionSettings(bootstrapServers));
});

afterEach(async () => {
  for (const producer of producers.splice(0)) await producer.close();
});

afterAll(async () => {
  cluster.close();
  await topics.cleanUp();
});

test('rows and offsets are committed together, and neither after an abort', async () => {
  const topic = await topics.create('group-offsets', { partitions: 2 });
  const member = await join(randomName('group'));
  const producer = await open();
  await producer.begin();
  await producer.send(await encode(topic, 'one'));
  await producer.sendOffsets(member, [at(topic, 0, 10), at(topic, 1, 20)]);
  await producer.sendOffsets(member, [at(topic, 1, 21)]);
  await producer.commit();
  expect(await committed(member, topic)).toEqual([10, 21]);

  await producer.begin();
  await producer.send(await encode(topic, 'two'));
  await producer.sendOffsets(member, [at(topic, 0, 99), at(topic, 1, 99)]);
  await producer.abort();
  expect(await committed(member, topic)).toEqual([10, 21]);
  expect(await values(topic)).toEqual(['one']);

  // Offsets alone are a transaction, too.
  await producer.begin();
  await producer.sendOffsets(member, [at(topic, 0, 11)]);
  await producer.commit();
  expect(await committed(member, topic)).toEqual([11, 21]);
});

test('whoever reads the offsets waits for the end of a transaction that holds them', async () => {
  const topic = await topics.create('group-held', { partitions: 2 });
  const member = await join(randomName('group'));
  const producer = await open();
  await producer.begin();
  await producer.sendOffsets(member, [at(topic, 0, 5)]);
  let isRead = false;
  const reading = committed(member, topic).then((offsets) => {
    isRead = true;
    return offsets;
  });
  // As many answers as the reader would need, and more.
  for (let asked = 0; asked < 3; asked++) await cluster.findTopic(topic);
  expect(isRead).toBe(false);
  await producer.commit();
  expect(await reading).toEqual([5, -1]);
});

test('a member that the group went on without is refused, and its producer can be used on', async () => {
  const topic = await topics.create('group-zombie');
  const groupId = randomName('group');
  const old = await join(groupId);
  const newer = await join(groupId, old.memberId);
  expect(newer).toMatchObject({ memberId: old.memberId, generationId: old.generationId + 1 });
  const producer = await open();
  await producer.begin();
  await producer.send(await encode(topic, 'zombie'));
  await expect(producer.sendOffsets(old, [at(topic, 0, 7)])).rejects.toThrow(
    expect.objectContaining({
      code: 'FENCED',
      message: expect.stringMatching(
        /^cannot commit as transactional id \S+ the offset 7 of \S+\/0 of group \S+ as its member \S+ of generation 1 at broker \S+: ILLEGAL_GENERATION; the group went on without this member$/,
      ),
    }),
  );
  await producer.abort();
  await producer.begin();
  await producer.send(await encode(topic, 'newer'));
  await producer.sendOffsets(newer, [at(topic, 0, 8)]);
  await producer.commit();
  expect(await committed(newer, topic, 1)).toEqual([8]);
  expect(await values(topic)).toEqual(['newer']);

  const coordinator = await cluster.coordinator({ kind: 'group', id: groupId });
  await coordinator.request(leaveGroupApi, newer);
  const next = await join(groupId);
  await producer.begin();
  await expect(producer.sendOffsets(newer, [at(topic, 0, 9)])).rejects.toThrow(
    expect.objectContaining({ code: 'FENCED', message: expect.stringContaining('UNKNOWN_MEMBER_ID') }),
  );
  await producer.abort();
  expect(await committed(next, topic, 1)).toEqual([8]);
});

test('a producer that another one has fenced commits no offsets', async () => {
  const topic = await topics.create('group-fenced');
  const member = await join(randomName('group'));
  const transactionalId = randomName('group');
  const first = await open(transactionalId);
  await first.begin();
  await first.sendOffsets(member, [at(topic, 0, 3)]);
  const second = await open(transactionalId);
  const fenced = expect.objectContaining({ code: 'FENCED', message: expect.stringContaining('a newer run') });
  await expect(first.sendOffsets(member, [at(topic, 0, 4)])).rejects.toThrow(fenced);
  await expect(first.begin()).rejects.toThrow(fenced);
  expect(await committed(member, topic, 1)).toEqual([-1]);
  await second.close();
});

function at(topic: string, partition: number, offset: number) {
  return { topic, partition, offset };
}

function committed({ groupId }: GroupIdentity, topic: string, partitions = 2): Promise<number[]> {
  const link = new CoordinatorLink(cluster, { kind: 'group', id: groupId });
  const asked = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  return fetchGroupOffsets(link, groupId, asked);
}

/** Joins alone, and so as the leader. A member that joins again begins the next generation. */
async function join(groupId: string, memberId = ''): Promise<GroupIdentity> {
  const link = new CoordinatorLink(cluster, { kind: 'group', id: groupId });
  return link.askUntilAnswered(async (coordinator) => {
    const who = { groupId, generationId: -1, instanceId: null };
    const ask = (id: string) =>
      coordinator.request(joinGroupApi, {
        ...who,
        memberId: id,
        sessionTimeoutMs: 30_000,
        rebalanceTimeoutMs: 30_000,
        protocolType: 'consumer',
        protocols: [{ name: 'test', metadata: Buffer.from([0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]) }],
      });
    const first = await ask(memberId);
    const joined = first.errorCode === MEMBER_ID_REQUIRED ? await ask(first.memberId) : first;
    if (joined.errorCode !== 0) throw brokerError(joined.errorCode, `cannot join group ${groupId}`);
    expect(joined.leader).toBe(joined.memberId);
    const identity = { ...who, memberId: joined.memberId, generationId: joined.generationId };
    const assignments = [{ memberId: joined.memberId, assignment: Buffer.alloc(0) }];
    expect(await coordinator.request(syncGroupApi, { ...identity, assignments })).toMatchObject({ errorCode: 0 });
    return identity;
  });
}

async function open(transactionalId = randomName('group')): Promise<TransactionalProducer> {
  const producer = await TransactionalProducer.open(cluster, { transactionalId, transactionTimeoutMs: 60_000 });
  producers.push(producer);
  return producer;
}

function encode(topic: string, value: string): Promise<EncodedRecordBatch[]> {
  const encoder = new RecordEncoder({
    defaultTopic: topic,
    partitionCounts: new Map([[topic, 1]]),
    compression: 'none',
    maxBatchBytes: DEFAULT_MAX_BATCH_BYTES,
    headers: [],
  });
  const table = recordTable([{ key: Buffer.from('key'), value: Buffer.from(value) }]);
  return encoder.encode(table, { defaultTimestampMs: 1_790_000_000_000, rowName: (row) => `row ${row}` });
}

async function values(topic: string): Promise<string[]> {
  return (await readTopic(bootstrapServers, topic)).map(({ value }) => String(value));
}
