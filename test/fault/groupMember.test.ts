import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type TestMember, TestMembers } from '../helpers/groupMembers.ts';
import { type ProxiedKafka, startProxiedKafka } from '../helpers/proxy.ts';
import { API } from '../helpers/proxyFrames.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

/** What a member of a group makes of answers that are lost, of a coordinator that falls silent, and of one that is away. */

let kafka: ProxiedKafka;
let topics: TestTopics;
let members: TestMembers;

beforeAll(async () => {
  kafka = await startProxiedKafka();
  topics = new TestTopics(kafka.cluster.bootstrapServers);
  members = new TestMembers(kafka.bootstrapServers);
});

afterEach(async () => {
  for (const proxy of kafka.proxies) proxy.calm();
  await members.closeAll();
});

afterAll(async () => {
  await members.end();
  await topics.cleanUp();
  await kafka.stop();
});

/** The next request of this kind, on whatever connection, is carried out, and nobody hears the answer; once. */
function loseAnswer(api: number): () => boolean {
  let isLost = false;
  for (const proxy of kafka.proxies) {
    proxy.setRules({
      onAnswer: (request) => {
        if (request.api !== api || isLost) return 'pass';
        isLost = true;
        return 'cut';
      },
    });
  }
  return () => isLost;
}

const kindsOf = (member: TestMember): string[] => member.calls.map(({ kind }) => kind);

test.each(['joinGroup', 'syncGroup', 'heartbeat', 'offsetCommit', 'offsetFetch', 'findCoordinator'] as const)(
  'a lost answer to %s is asked for again, and nothing is lost with it',
  async (name) => {
    const topic = await topics.create('lost-answer', { partitions: 4 });
    const groupId = randomName('group');
    const a = await members.join(groupId, topic);
    await members.share([a], [4]);
    const isLost = loseAnswer(API[name]);
    const b = await members.join(groupId, topic);
    await members.share([a, b], [2, 2]);
    const partition = Number(a.owned()[0]?.split('/').at(-1));
    await a.member.commit([{ topic, partition, offset: 3 }]);
    expect(await a.member.committed([{ topic, partition }])).toEqual([{ topic, partition, offset: 3 }]);
    await waitFor('the answer to be lost', isLost);
    await b.close();
    await members.share([a], [4]);
    for (const one of [a, b]) expect(kindsOf(one)).not.toContain('lost');
  },
);

test('a coordinator that falls silent while a rebalance is waited for is not waited for as long as that may take', async () => {
  const topic = await topics.create('silent', { partitions: 2 });
  const groupId = randomName('group');
  // The session is long, and so is the rebalance; what tells is a heartbeat that nobody answers.
  const patient = { sessionTimeoutMs: 9_000, rebalanceTimeoutMs: 300_000 };
  let open = (): void => {};
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  const a = await members.join(groupId, topic, patient);
  await members.share([a], [2]);
  const commit = a.member.commitAs([{ topic, partition: 0 }], () => held);
  const joining = members.join(groupId, topic, patient);
  await waitFor('the other to wait', async () => (await topics.groupState(groupId)) === 'PREPARINGREBALANCE');
  for (const proxy of kafka.proxies)
    proxy.setRules({ onAnswer: ({ api }) => (api === API.heartbeat ? 'withhold' : 'pass') });
  const before = kafka.proxies[0]?.requests(API.joinGroup) ?? 0;
  await waitFor('it to ask again', () => (kafka.proxies[0]?.requests(API.joinGroup) ?? 0) > before);
  for (const proxy of kafka.proxies) proxy.calm();
  open();
  await commit;
  await members.share([a, await joining], [1, 1]);
});

test('a broker that is away for longer than the session: what was read is kept or read again, and all is read by one in the end', async () => {
  const topic = await topics.create('outage', { partitions: 4 });
  const groupId = randomName('group');
  const session = { sessionTimeoutMs: 1_500 };
  const a = await members.join(groupId, topic, session);
  const b = await members.join(groupId, topic, session);
  await members.share([a, b], [2, 2]);
  const partition = Number(a.owned()[0]?.split('/').at(-1));
  await a.member.commit([{ topic, partition, offset: 8 }]);
  await kafka.cluster.kill(1);
  // More than the session, and until both have said that they wait.
  await waitFor('both to wait', () =>
    [a, b].every(({ events }) => events.some((event) => event.kind === 'waiting' && event.attempt > 5)),
  );
  await kafka.cluster.restart(1);
  await waitFor('both to go on', () => [a, b].every(({ events }) => events.at(-1)?.kind !== 'waiting'));
  await members.share([a, b], [2, 2], true);
  await waitFor('a commit to be taken', async () => {
    const owned = a.owned().map((place) => ({ topic, partition: Number(place.split('/').at(-1)) }));
    const done = a.member.commit(owned.map((one) => ({ ...one, offset: 9 })));
    return done.then(
      () => true,
      () => false,
    );
  });
  for (const { member } of [a, b]) expect(member.signal.aborted).toBe(false);
});
