import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignPartitions, type Candidate } from '../../../src/stream/assignor.ts';
import type { TopicPartition } from '../../../src/stream/types.ts';

type Selection = Candidate['selection'];

/** A group whose members do as they are told, generation after generation, as the real ones do. */
class Group {
  readonly members = new Map<string, { selection: Selection; owned: TopicPartition[] }>();
  generation = 0;
  #made = 0;

  join(selection: Selection): string {
    // Not in the order in which they join.
    const id = `member-${(this.#made * 7) % 11}-${this.#made++}`;
    this.members.set(id, { selection, owned: [] });
    return id;
  }

  leave(memberId: string): void {
    this.members.delete(memberId);
  }

  /** One generation. Returns true if a member has to join again. */
  rebalance(): boolean {
    this.generation += 1;
    const candidates = [...this.members].map(
      ([memberId, { selection, owned }]): Candidate => ({
        memberId,
        selection,
        owned,
        ownedGeneration: this.generation - 1,
      }),
    );
    const readBefore = new Map(candidates.flatMap(({ memberId, owned }) => owned.map((one) => [key(one), memberId])));
    const given = assignPartitions(candidates);
    expect(new Set(given.keys())).toEqual(new Set(this.members.keys()));
    const seen = new Set<string>();
    let again = false;
    for (const [memberId, partitions] of given) {
      const member = this.members.get(memberId);
      if (!member) throw new Error(`${memberId} is not in the group`);
      for (const one of partitions) {
        expect(seen.has(key(one)), `${key(one)} is given out twice`).toBe(false);
        seen.add(key(one));
        expect(readBefore.get(key(one)) ?? memberId, `${key(one)} is taken from its reader at once`).toBe(memberId);
        expect(member.selection.find(({ topic }) => topic === one.topic)?.partitions).toContain(one.partition);
      }
      if (member.owned.some((one) => !partitions.some((other) => key(other) === key(one)))) again = true;
      member.owned = partitions;
    }
    return again;
  }

  /** Generations until nobody has to join again. */
  settle(): number {
    for (let rounds = 1; ; rounds++) {
      expect(rounds).toBeLessThan(20);
      if (!this.rebalance()) return rounds;
    }
  }

  loads(): number[] {
    return [...this.members.values()].map(({ owned }) => owned.length).sort((a, b) => a - b);
  }

  /** Of each partition, who reads it. */
  owners(): Map<string, string> {
    return new Map([...this.members].flatMap(([id, { owned }]) => owned.map((one) => [key(one), id] as const)));
  }
}

function key({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function numbers(count: number): number[] {
  return [...Array(count).keys()];
}

const selectionOf = (sizes: readonly number[]): Selection =>
  sizes.map((size, i) => ({ topic: `topic-${i}`, partitions: numbers(size) }));

const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 });
const anyMembers = fc.integer({ min: 1, max: 7 });

describe('members with equal selections', () => {
  test('differ by one partition at most, read all, and come to rest in two generations, whoever joins and leaves', () => {
    const changes = fc.array(fc.oneof(fc.constant('join' as const), fc.nat()), { maxLength: 8 });
    fc.assert(
      fc.property(sizes, anyMembers, changes, (topics, count, order) => {
        const group = new Group();
        const selection = selectionOf(topics);
        for (let i = 0; i < count; i++) group.join(selection);
        for (const change of [null, ...order]) {
          const before = group.owners();
          if (change === 'join') group.join(selection);
          else if (change !== null && group.members.size > 1) {
            group.leave([...group.members.keys()][change % group.members.size] ?? '');
          }
          const size = group.members.size;
          expect(group.settle()).toBeLessThanOrEqual(2);
          const total = topics.reduce((sum, size) => sum + size, 0);
          const loads = group.loads();
          expect(loads.reduce((sum, load) => sum + load, 0)).toBe(total);
          expect((loads.at(-1) ?? 0) - (loads[0] ?? 0)).toBeLessThanOrEqual(1);
          // Sticky: a member that joins is given its share and no more is moved; of those that stay, none loses one
          // to a member that leaves.
          const moved = [...before].filter(([place, id]) => group.members.has(id) && group.owners().get(place) !== id);
          expect(moved.length).toBeLessThanOrEqual(change === 'join' ? Math.ceil(total / size) : 0);
        }
      }),
    );
  });

  test('keep what they have when nothing changes', () => {
    fc.assert(
      fc.property(sizes, anyMembers, (topics, count) => {
        const group = new Group();
        for (let i = 0; i < count; i++) group.join(selectionOf(topics));
        group.settle();
        const before = group.owners();
        expect(group.rebalance()).toBe(false);
        expect(group.owners()).toEqual(before);
      }),
    );
  });

  test('share each topic, not one topic each', () => {
    const group = new Group();
    const selection = selectionOf([12, 12]);
    group.join(selection);
    group.settle();
    group.join(selection);
    group.settle();
    for (const { owned } of group.members.values()) {
      expect(numbers(2).map((i) => owned.filter(({ topic }) => topic === `topic-${i}`).length)).toEqual([6, 6]);
    }
  });

  test('are given what is there in a moment, for thousands of partitions and dozens of members', () => {
    const group = new Group();
    const selection = selectionOf(Array.from({ length: 40 }, () => 100));
    for (let i = 0; i < 39; i++) group.join(selection);
    group.settle();
    group.join(selection);
    expect(group.settle()).toBe(2);
    expect(group.loads()).toEqual(Array.from({ length: 40 }, () => 100));
  });
});

describe('members with selections of their own', () => {
  const selection = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.uniqueArray(fc.integer({ min: 0, max: 5 }))), { maxLength: 4 })
    .map((parts): Selection => {
      const byTopic = new Map(parts.map(([topic, partitions]) => [`topic-${topic}`, partitions]));
      return [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
    });

  test('read all that somebody can read, as balanced as it can be, and come to rest in two generations', () => {
    const steps = fc.array(fc.tuple(fc.nat(), fc.option(selection)), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(selection, { minLength: 1, maxLength: 5 }), steps, (selections, changes) => {
        const group = new Group();
        for (const one of selections) group.join(one);
        for (const change of [null, ...changes]) {
          if (change !== null) {
            const [any, next] = change;
            const id = [...group.members.keys()][any % group.members.size] ?? '';
            const member = group.members.get(id);
            // A new selection, or in place of the member another one.
            if (next !== null && member) member.selection = next;
            else if (member) {
              group.leave(id);
              group.join(member.selection);
            }
          }
          expect(group.settle()).toBeLessThanOrEqual(2);
          const all = [...group.members.values()].map((member) => member.selection);
          const readable = new Set(
            all.flatMap((parts) =>
              parts.flatMap(({ topic, partitions }) => partitions.map((partition) => key({ topic, partition }))),
            ),
          );
          expect(new Set(group.owners().keys())).toEqual(readable);
          expect(squares(group.loads())).toBe(squares(bestLoads(all)));
        }
      }),
    );
  });

  test('that shrink give back what they read, before others get it', () => {
    const group = new Group();
    const first = group.join([{ topic: 'a', partitions: [0, 1] }]);
    group.settle();
    const second = group.join([{ topic: 'a', partitions: [0] }]);
    const member = group.members.get(first);
    if (member) member.selection = [{ topic: 'a', partitions: [1] }];
    expect(group.rebalance()).toBe(true);
    expect(group.owners()).toEqual(new Map([['a/1', first]]));
    expect(group.rebalance()).toBe(false);
    expect(group.owners().get('a/0')).toBe(second);
  });
});

describe('two that claim the same partition', () => {
  const candidate = (memberId: string, ownedGeneration: number): Candidate => ({
    memberId,
    selection: [{ topic: 'a', partitions: [0] }],
    owned: [{ topic: 'a', partition: 0 }],
    ownedGeneration,
  });

  test('it stays with the one of the newer generation', () => {
    const given = assignPartitions([candidate('a', 3), candidate('b', 4)]);
    expect([...given]).toEqual([
      ['a', []],
      ['b', [{ topic: 'a', partition: 0 }]],
    ]);
  });

  test('neither keeps it if they are of the same', () => {
    expect([...assignPartitions([candidate('a', 4), candidate('b', 4)]).values()]).toEqual([[], []]);
  });
});

function squares(loads: readonly number[]): number {
  return loads.reduce((sum, load) => sum + load * load, 0);
}

/** The most even loads there are, found in another way: partitions one by one, each by the shortest augmenting path. */
function bestLoads(selections: readonly Selection[]): number[] {
  const places = new Map<string, number[]>();
  for (const [member, selection] of selections.entries()) {
    for (const { topic, partitions } of selection) {
      for (const partition of partitions) {
        const place = key({ topic, partition });
        places.set(place, [...(places.get(place) ?? []), member]);
      }
    }
  }
  // The loads are even if no member can be held to fewer: capacities are raised one by one until all are placed, and
  // then each member in turn is lowered as long as a matching stays.
  const capacities = selections.map(() => places.size);
  for (let cap = places.size; cap >= 0; cap--) {
    for (const member of capacities.keys()) {
      const before = capacities[member] ?? 0;
      if (before <= cap) continue;
      capacities[member] = cap;
      if (!canPlace([...places.values()], capacities)) capacities[member] = before;
    }
  }
  return capacities;
}

function canPlace(candidates: readonly (readonly number[])[], capacities: readonly number[]): boolean {
  const held: number[][] = capacities.map(() => []);
  const place = (index: number, seen: Set<number>): boolean => {
    for (const member of candidates[index] ?? []) {
      if (seen.has(member)) continue;
      seen.add(member);
      const mine = held[member] ?? [];
      if (mine.length < (capacities[member] ?? 0)) {
        mine.push(index);
        return true;
      }
      for (const [at, other] of mine.entries()) {
        if (!place(other, seen)) continue;
        mine[at] = index;
        return true;
      }
    }
    return false;
  };
  return candidates.every((_, index) => place(index, new Set()));
}
