import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSelection,
  encodeSubscription,
} from '../../../src/stream/subscription.ts';
import { amongNeighbours, HANG_MS, hostile, outcomeOf, runs } from '../fuzz/hostile.ts';

const numbers = fc
  .uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 20 })
  .map((found) => found.sort((a, b) => a - b));
const topics = fc.uniqueArray(
  fc.record({
    topic: fc.stringMatching(/^[a-z._-]{1,20}$/),
    topicId: fc.option(fc.uuid()),
    partitions: numbers,
  }),
  { selector: ({ topic }) => topic, maxLength: 5 },
);
const partitionsOf = (selection: readonly { topic: string; partitions: readonly number[] }[]) =>
  selection.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));

test('what a member says is what the leader hears', () => {
  fc.assert(
    fc.property(topics, topics, fc.integer({ min: -1, max: 2 ** 31 - 1 }), (selected, reads, ownedGeneration) => {
      const userData = encodeSelection(selected);
      const bytes = encodeSubscription({ selection: userData, owned: partitionsOf(reads), ownedGeneration });
      const selection = [...selected].sort((a, b) => (a.topic < b.topic ? -1 : 1));
      const owned = partitionsOf(reads);
      expect(decodeSubscription('m', bytes)).toEqual({ memberId: 'm', selection, owned, ownedGeneration, userData });
      // In whatever order the topics come: another one would be a reason to join again.
      expect(encodeSelection([...selected].reverse())).toEqual(userData);
      expect(decodeAssignment(encodeAssignment({ partitions: owned, selection: userData }))).toEqual({
        partitions: owned,
        selection: userData,
      });
    }),
  );
});

test('a subscription is as consumers of Kafka write it: version, topics, user data, partitions, generation', () => {
  const selection = encodeSelection([{ topic: 'a', topicId: null, partitions: [0, 1, 2, 5] }]);
  const bytes = encodeSubscription({ selection, owned: [{ topic: 'a', partition: 1 }], ownedGeneration: 7 });
  const [head, tail] = [bytes.subarray(0, 9).toString('hex'), bytes.subarray(13 + selection.length).toString('hex')];
  expect(head).toBe('0002' + '00000001' + '000161');
  expect(bytes.readInt32BE(9)).toBe(selection.length);
  expect(tail).toBe('00000001' + '000161' + '00000001' + '00000001' + '00000007');
});

test(
  'whatever comes in their place is read within its bytes or refused',
  async () => {
    const selection = encodeSelection([{ topic: 'orders', topicId: null, partitions: [0, 1, 2, 5] }]);
    const owned = [{ topic: 'orders', partition: 1 }];
    const valid = [
      encodeSubscription({ selection, owned, ownedGeneration: 3 }),
      encodeAssignment({ partitions: owned, selection }),
    ];
    const isDocumented = (error: unknown): boolean => error instanceof RangeError;
    await fc.assert(
      fc.asyncProperty(hostile(...valid), async (bytes) => {
        for (const decode of [(view: Buffer) => decodeSubscription('m', view), decodeAssignment]) {
          const read = (neighbour: number) =>
            outcomeOf(() => JSON.stringify(decode(amongNeighbours(bytes, neighbour).view)), isDocumented);
          expect(await read(0x00)).toEqual(await read(0xff));
        }
      }),
      runs(2_000),
    );
  },
  HANG_MS,
);
