import { createRequire } from 'node:module';
import type { KafkaConsumer as Consumer, ConsumerGlobalConfig } from 'node-rdkafka';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Position } from '../../src/stream/types.ts';
import { type Call, type MemberProcess, spawnMember, TestMembers } from '../helpers/groupMembers.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

/** Members of consumer groups on a real broker: in this process, in processes of their own, and of other clients. */

const { KafkaConsumer } = createRequire(import.meta.url)('node-rdkafka') as { KafkaConsumer: typeof Consumer };
const bootstrapServers = inject('bootstrapServers');

let topics: TestTopics;
let members: TestMembers;
const processes: MemberProcess[] = [];

beforeAll(() => {
  topics = new TestTopics(bootstrapServers);
  members = new TestMembers(bootstrapServers);
});

afterEach(async () => {
  for (const child of processes.splice(0)) await child.kill();
  await members.closeAll();
});

afterAll(async () => {
  await members.end();
  await topics.cleanUp();
});

function spawn(groupId: string, topic: string, sessionTimeoutMs: number): MemberProcess {
  const child = spawnMember(bootstrapServers, groupId, topic, sessionTimeoutMs);
  processes.push(child);
  return child;
}

function at(topic: string, partition: number, offset: number): Position {
  return { topic, partition, offset };
}

const failure = (code: string, message: string | RegExp) =>
  expect.objectContaining({
    code,
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  });

describe('three members', () => {
  test('share twelve partitions; one is killed, one comes, and what stays is read on meanwhile', async () => {
    const topic = await topics.create('shared', { partitions: 12 });
    const groupId = randomName('group');
    const a = await members.join(groupId, topic);
    await members.share([a], [12]);
    const b = await members.join(groupId, topic);
    await members.share([a, b], [6, 6]);
    const c = spawn(groupId, topic, 1_500);
    await waitFor('the third member', () => c.owned().length === 4);
    await members.share([a, b], [4, 4]);
    const all = (): string[] =>
      [...a.owned(), ...b.owned(), ...c.owned().map((partition) => `${topic}/${partition}`)].sort(byText);
    expect(new Set(all()).size).toBe(12);
    const kept = [a.owned(), b.owned()];

    await c.kill();
    await members.share([a, b], [6, 6]);
    // None of theirs was taken from them.
    for (const [index, one] of [a, b].entries()) expect(one.owned()).toEqual(expect.arrayContaining(kept[index] ?? []));
    const d = await members.join(groupId, topic);
    await members.share([a, b, d], [4, 4, 4]);
    for (const { calls } of [a, b, d]) expect(calls.map(({ kind }) => kind)).not.toContain('lost');

    // One that leaves is not waited for.
    await b.close();
    await members.share([a, d], [6, 6]);
    expect(d.member.rebalances).toBeGreaterThan(0);
  });

  test('one that sleeps beyond its session learns that it has lost everything, and commits nothing', async () => {
    const topic = await topics.create('asleep', { partitions: 4 });
    const groupId = randomName('group');
    const a = await members.join(groupId, topic);
    const sleeper = spawn(groupId, topic, 1_000);
    await waitFor('the sleeper', () => sleeper.owned().length === 2);
    await members.share([a], [2]);
    sleeper.child.kill('SIGSTOP');
    await members.share([a], [4]);
    await a.member.commit([at(topic, 0, 5)]);
    sleeper.child.kill('SIGCONT');
    const back = (): boolean => sleeper.lines.some(({ kind }) => kind === 'lost') && sleeper.owned().length === 2;
    await waitFor('the sleeper to come back', back);
    await waitFor('what became of its commit', () => sleeper.lines.some(({ kind }) => /committed|refused/.test(kind)));
    const kinds = sleeper.lines.map(({ kind, code }) => code ?? kind);
    expect(kinds.filter((kind) => ['lost', 'FENCED', 'committed'].includes(kind)).sort(byText)).toEqual([
      'FENCED',
      'lost',
    ]);
    await members.share([a], [2]);
    expect(await a.member.committed([{ topic, partition: 0 }])).toEqual([at(topic, 0, 5)]);
  });
});

describe('a listener that is slow', () => {
  test('to let go is waited for, and commits meanwhile what it has done', async () => {
    const topic = await topics.create('slow', { partitions: 4 });
    const groupId = randomName('group');
    const gate = newGate();
    const during = async ({ kind, partitions }: Call): Promise<void> => {
      if (kind !== 'revoked') return;
      await gate.opened;
      await a.member.commit(partitions.map((place) => at(topic, Number(place.split('/').at(-1)), 7)));
    };
    const a = await members.join(groupId, topic, { during });
    await members.share([a], [4]);
    const b = await members.join(groupId, topic);
    await waitFor('the call', () => a.calls.some(({ kind }) => kind === 'revoked'));
    // The group is at rest meanwhile: what stays is committed as ever.
    const revoked = a.calls.at(-1)?.partitions ?? [];
    const kept = [0, 1, 2, 3].filter((partition) => !revoked.includes(`${topic}/${partition}`));
    await a.member.commit(kept.map((partition) => at(topic, partition, 3)));
    expect(b.owned()).toEqual([]);
    gate.open();
    await members.share([a, b], [2, 2]);
    expect(b.owned()).toEqual(revoked);
    const offsets = await b.member.committed([0, 1, 2, 3].map((partition) => ({ topic, partition })));
    expect(offsets).toEqual([0, 1, 2, 3].map((partition) => at(topic, partition, kept.includes(partition) ? 3 : 7)));
  });

  test('for longer than a rebalance may take has lost all, and joins again when it is done', async () => {
    const topic = await topics.create('stuck', { partitions: 4 });
    const groupId = randomName('group');
    const gate = newGate();
    const during = ({ kind }: Call): Promise<void> => (kind === 'revoked' ? gate.opened : Promise.resolve());
    const a = await members.join(groupId, topic, { during, rebalanceTimeoutMs: 1_000, isLate: true });
    await members.share([a], [4]);
    // The group of the others waits for it as long as they say, but it leaves by itself.
    const b = await members.join(groupId, topic);
    await waitFor('all partitions at the other member', () => b.owned().length === 4).catch((error) => {
      throw new Error(`${error}: ${JSON.stringify([a.calls, b.calls])}`);
    });
    const kept = a.owned().find((place) => !a.calls.at(-1)?.partitions.includes(place)) ?? '';
    const partition = Number(kept.split('/').at(-1));
    await expect(a.member.commit([at(topic, partition, 1)])).rejects.toThrow(
      failure(
        'FENCED',
        /did not let go of 2 partitions within 1000 ms \(max\.poll\.interval\.ms\), and left the group$/,
      ),
    );
    gate.open();
    await members.share([a, b], [2, 2]);
    expect(a.calls.map(({ kind }) => kind)).toEqual(['assigned', 'revoked', 'lost', 'assigned']);
    expect(a.member.signal.aborted).toBe(false);
  });
});

describe('commits', () => {
  test('are read back, wait for the end of a rebalance, and are refused for what is not ours', async () => {
    const topic = await topics.create('commits', { partitions: 2 });
    const groupId = randomName('group');
    const a = await members.join(groupId, topic);
    await members.share([a], [2]);
    const both = [0, 1].map((partition) => ({ topic, partition }));
    expect(await a.member.committed(both)).toEqual(both.map((one) => ({ ...one, offset: null })));
    await a.member.commit([at(topic, 1, 9)]);
    expect(await a.member.committed(both)).toEqual([
      { topic, partition: 0, offset: null },
      { topic, partition: 1, offset: 9 },
    ]);
    await expect(a.member.commit([at(topic, 2, 1)])).rejects.toThrow(
      failure('FENCED', `${topic}/2 is not this member's any more in group ${groupId}`),
    );
    // A commit in its name outlasts the wish for a rebalance; the next one waits for it.
    const gate = newGate();
    const held = a.member.commitAs([at(topic, 0, 0)], async (identity) => {
      await gate.opened;
      expect(a.member.identity).toEqual(identity);
      return identity.generationId;
    });
    const joining = members.join(groupId, topic);
    await waitFor('the other member to ask', async () => (await topics.groupState(groupId)) === 'PREPARINGREBALANCE');
    gate.open();
    expect(await held).toBe(1);
    const b = await joining;
    await members.share([a, b], [1, 1]);
    const [lost, kept] = [b, a].map((one) => Number(one.owned()[0]?.split('/').at(-1)));
    await a.member.commit([at(topic, kept ?? -1, 20)]);
    await expect(a.member.commit([at(topic, kept ?? -1, 30), at(topic, lost ?? -1, 30)])).rejects.toThrow(
      failure('FENCED', 'is not this member'),
    );
    expect(await b.member.committed([{ topic, partition: kept ?? -1 }])).toEqual([at(topic, kept ?? -1, 20)]);
  });
});

describe('a group that is in use by another kind of consumer', () => {
  const range: ConsumerGlobalConfig = { 'partition.assignment.strategy': 'range' };
  const newer: ConsumerGlobalConfig = { 'group.protocol': 'consumer' };

  test.each([
    [
      'the classic protocol',
      range,
      /\(protocol consumer, assignor range, client other-kind at \/127\.0\.0\.1\); use another group\.id$/,
    ],
    ['the newer protocol', newer, /\(one of the newer protocol, KIP-848\); use another group\.id$/],
  ])('of %s is refused in one line', async (_, settings, message) => {
    const topic = await topics.create('foreign', { partitions: 2 });
    const groupId = randomName('group');
    const consumer = await joinWithLibrdkafka(groupId, topic, settings);
    try {
      await expect(members.join(groupId, topic)).rejects.toThrow(failure('BROKER_REFUSED', message));
      await expect(members.join(groupId, topic)).rejects.toThrow(
        `group ${groupId} is in use by another kind of consumer`,
      );
    } finally {
      await new Promise((resolve) => consumer.disconnect(resolve));
    }
    // When it is gone, the group is free.
    const member = await waitFor('the group to be free', () => members.join(groupId, topic).catch(() => null));
    await members.share([member], [2]);
  });
});

describe('a static member', () => {
  test('keeps its partitions over a restart, and nobody else hears of it', async () => {
    const topic = await topics.create('static', { partitions: 4 });
    const groupId = randomName('group');
    const first = await members.join(groupId, topic, { instanceId: 'one', sessionTimeoutMs: 20_000 });
    const other = await members.join(groupId, topic, { instanceId: 'two', sessionTimeoutMs: 20_000 });
    await members.share([first, other], [2, 2]);
    const owned = first.owned();
    const callsBefore = other.calls.length;
    const { generationId } = other.member.identity;
    await first.close();
    const again = await members.join(groupId, topic, { instanceId: 'one', sessionTimeoutMs: 20_000 });
    await members.share([again, other], [2, 2]);
    expect(again.owned()).toEqual(owned);
    expect(again.member.identity.generationId).toBe(generationId);
    await again.member.commit([at(topic, Number(owned[0]?.split('/').at(-1)), 4)]);
    expect(other.calls.length).toBe(callsBefore);

    // It comes back able to read less: the group learns of it.
    await again.close();
    const part = owned.slice(1).map((place) => Number(place.split('/').at(-1)));
    const selection = async () => (await members.allOf(topic)).map((info) => ({ ...info, partitions: part }));
    const less = await members.join(groupId, topic, { instanceId: 'one', sessionTimeoutMs: 20_000, topics: selection });
    await members.share([less, other], [1, 3]);
    expect(less.owned()).toEqual(owned.slice(1));
  });

  test('ends with a clear error when another process takes its name', async () => {
    const topic = await topics.create('twins', { partitions: 2 });
    const groupId = randomName('group');
    const first = await members.join(groupId, topic, { instanceId: 'same', isLate: true });
    await members.share([first], [2]);
    const second = await members.join(groupId, topic, { instanceId: 'same' });
    await waitFor('the first to end', () => first.member.signal.aborted);
    expect(first.member.signal.reason).toEqual(
      failure(
        'FENCED',
        /FENCED_INSTANCE_ID \(group\.instance\.id is same; give each process its own\); another process/,
      ),
    );
    await waitFor('the listener to hear of it', () => first.calls.at(-1)?.kind === 'lost');
    await waitFor('the second', () => second.owned().length === 2);
    await first.close();
  });
});

describe('what there is to read', () => {
  test('new partitions and a new topic that a pattern matches are picked up, by whichever member sees them first', async () => {
    const prefix = randomName('grows');
    const firstTopic = `${prefix}-a`;
    await topics.createNamed(firstTopic, { partitions: 2 });
    const groupId = randomName('group');
    const find = () => members.cluster.findTopics((name) => name.startsWith(prefix));
    const a = await members.join(groupId, firstTopic, { topics: find });
    const b = await members.join(groupId, firstTopic, { topics: find, topicsMaxAgeMs: 200 });
    await members.share([a, b], [1, 1]);
    await topics.addPartitions(firstTopic, 4);
    await members.share([a, b], [2, 2]);
    await topics.createNamed(`${prefix}-b`, { partitions: 2 });
    await members.share([a, b], [3, 3]);
    // One that looks by itself seldom is told to.
    await b.close();
    await members.share([a], [6]);
    await topics.delete(`${prefix}-b`);
    a.member.topicsChanged();
    await members.share([a], [4]);
    expect(a.calls.at(-1)).toEqual({ kind: 'revoked', partitions: [`${prefix}-b/0`, `${prefix}-b/1`] });
  });

  test('a topic that was made again is another one: its partitions are lost, and assigned anew', async () => {
    const topic = await topics.create('remade', { partitions: 2 });
    const a = await members.join(randomName('group'), topic);
    await members.share([a], [2]);
    await a.member.commit([at(topic, 0, 50)]);
    await topics.delete(topic);
    await topics.createNamed(topic, { partitions: 2 });
    a.member.topicsChanged();
    await waitFor('the new topic', () => a.calls.length === 3);
    expect(a.calls.map(({ kind }) => kind)).toEqual(['assigned', 'lost', 'assigned']);
    expect(await a.member.committed([{ topic, partition: 0 }])).toEqual([{ topic, partition: 0, offset: null }]);
  });
});

function newGate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Returns when it has been given partitions. */
async function joinWithLibrdkafka(groupId: string, topic: string, settings: ConsumerGlobalConfig): Promise<Consumer> {
  const consumer = new KafkaConsumer(
    { 'bootstrap.servers': bootstrapServers, 'client.id': 'other-kind', 'group.id': groupId, ...settings },
    {},
  );
  await new Promise<void>((resolve, reject) => {
    consumer.connect({}, (error) => (error ? reject(error) : resolve()));
  });
  consumer.subscribe([topic]);
  consumer.consume();
  await waitFor('the other consumer', () => consumer.assignments().length > 0);
  return consumer;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
