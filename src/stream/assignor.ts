/**
 * Which member of a group reads which partitions: sticky, balanced, and cooperative (KIP-429). A partition that goes to
 * another member is first taken from the one that reads it, and given out in the next generation, when that one has let it
 * go: so it has never two readers, and all that stay where they are go on being read meanwhile.
 *
 * Each member says itself which partitions it can read; members may differ in that. Nobody could be given less than two
 * fewer partitions than another, by whatever chain of moves: with equal selections, members differ by one at most.
 */
import type { TopicPartition } from './types.ts';

export interface Candidate {
  readonly memberId: string;
  /** What it can read. */
  readonly selection: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
  /** What it reads now. */
  readonly owned: readonly TopicPartition[];
  /** Generation that gave it these: of two that claim the same partition, the one of the older generation is outdated. */
  readonly ownedGeneration: number;
}

/** A partition that somebody can read. Members are numbers: their places in the list. */
interface Place extends TopicPartition {
  readonly candidates: number[];
  /** Who says that it reads it. */
  readonly claimants: number[];
  /** Who reads it, and may go on; null: nobody. */
  owner: number | null;
  target: number;
}

/** Partitions that the same members can read. */
interface Peers {
  readonly candidates: readonly number[];
  /** By member, those it shall read. Moving one that it does not read yet costs nothing. */
  readonly kept: Set<Place>[];
  readonly fresh: Set<Place>[];
}

/**
 * @returns By member id, what it reads in this generation, in order of topic and partition. A member that reads more has
 *   to let go of the rest and to join again.
 */
export function assignPartitions(members: readonly Candidate[]): Map<string, TopicPartition[]> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const places = findPlaces(sorted);
  new Balance(sorted.length, places).settle();
  const given = new Map(sorted.map(({ memberId }): [string, TopicPartition[]] => [memberId, []]));
  for (const { topic, partition, target, owner, claimants } of places) {
    const isHeldByOthers = claimants.some((member) => member !== target);
    if (isHeldByOthers && owner !== target) continue;
    const memberId = sorted[target]?.memberId;
    if (memberId !== undefined) given.get(memberId)?.push({ topic, partition });
  }
  return given;
}

/** In order of topic and partition. */
function findPlaces(members: readonly Candidate[]): Place[] {
  const topics = new Map<string, Map<number, Place>>();
  for (const [member, { selection }] of members.entries()) {
    for (const { topic, partitions } of selection) {
      const places = topics.get(topic) ?? new Map<number, Place>();
      topics.set(topic, places);
      for (const partition of partitions) {
        const place = places.get(partition) ?? newPlace(topic, partition);
        places.set(partition, place);
        if (place.candidates.at(-1) !== member) place.candidates.push(member);
      }
    }
  }
  for (const [member, { owned }] of members.entries()) {
    for (const { topic, partition } of owned) topics.get(topic)?.get(partition)?.claimants.push(member);
  }
  const places = [...topics.values()].flatMap((byPartition) => [...byPartition.values()]);
  for (const place of places) place.owner = ownerOf(place, members);
  return places.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}

function newPlace(topic: string, partition: number): Place {
  return { topic, partition, candidates: [], claimants: [], owner: null, target: -1 };
}

function ownerOf({ claimants, candidates }: Place, members: readonly Candidate[]): number | null {
  const generationOf = (member: number): number => members[member]?.ownedGeneration ?? -1;
  const newest = Math.max(...claimants.map(generationOf));
  const [owner, ...others] = claimants.filter((member) => generationOf(member) === newest);
  return owner === undefined || others.length > 0 || !candidates.includes(owner) ? null : owner;
}

class Balance {
  readonly #places: readonly Place[];
  /** By member: number of partitions, in all and by topic. */
  readonly #loads: number[];
  readonly #topicLoads: Map<string, number>[];
  readonly #peers: Peers[];
  readonly #peersOf = new Map<Place, Peers>();

  constructor(members: number, places: readonly Place[]) {
    this.#places = places;
    this.#loads = new Array<number>(members).fill(0);
    this.#topicLoads = Array.from({ length: members }, () => new Map<string, number>());
    const byCandidates = new Map<string, Peers>();
    const sets = (): Set<Place>[] => Array.from({ length: members }, () => new Set<Place>());
    for (const place of places) {
      const key = place.candidates.join();
      const peers = byCandidates.get(key) ?? { candidates: place.candidates, kept: sets(), fresh: sets() };
      byCandidates.set(key, peers);
      this.#peersOf.set(place, peers);
    }
    this.#peers = [...byCandidates.values()];
  }

  /**
   * What nobody reads is given out first, and balanced by itself. In the generation after one that took partitions away,
   * that alone makes a balance again (no chain of moves improves an assignment that cannot be improved, whichever way its
   * last partitions were given out), so that nothing else is taken away, and a group comes to rest.
   */
  settle(): void {
    for (const place of this.#places) if (place.owner !== null) this.#give(place, place.owner);
    const free = this.#places.filter(({ owner }) => owner === null);
    for (const place of free.sort((a, b) => a.candidates.length - b.candidates.length)) {
      this.#give(place, this.#leastLoaded(place));
    }
    while (this.#improve(['fresh']));
    while (this.#improve(['fresh', 'kept']));
  }

  #leastLoaded({ candidates, topic }: Place): number {
    const load = (member: number): number => this.#loads[member] ?? 0;
    return candidates.reduce((least, member) => {
      const difference = load(member) - load(least) || this.#ofTopic(member, topic) - this.#ofTopic(least, topic);
      return difference < 0 ? member : least;
    });
  }

  /** Makes one member's load smaller by one, and that of another one that has two fewer at least larger by one. */
  #improve(kinds: readonly ('fresh' | 'kept')[]): boolean {
    const byLoad = [...this.#loads.keys()].sort((a, b) => (this.#loads[b] ?? 0) - (this.#loads[a] ?? 0));
    const least = this.#loads[byLoad.at(-1) ?? 0] ?? 0;
    for (const from of byLoad) {
      if ((this.#loads[from] ?? 0) - least < 2) return false;
      const path = this.#findPath(from, kinds);
      if (path === null) continue;
      for (const [giver, taker] of path) this.#move(giver, taker, kinds);
      return true;
    }
    return false;
  }

  /** The shortest chain of members, each of which can give one partition to the next, to one that has two fewer. */
  #findPath(from: number, kinds: readonly ('fresh' | 'kept')[]): [giver: number, taker: number][] | null {
    const enough = (this.#loads[from] ?? 0) - 2;
    const cameFrom = new Map<number, number>([[from, from]]);
    for (let level = [from]; level.length > 0; ) {
      const next: number[] = [];
      for (const giver of level) {
        for (const { candidates, ...held } of this.#peers) {
          if (!kinds.some((kind) => (held[kind][giver]?.size ?? 0) > 0)) continue;
          for (const taker of candidates) {
            if (cameFrom.has(taker)) continue;
            cameFrom.set(taker, giver);
            next.push(taker);
          }
        }
      }
      const fit = next.filter((member) => (this.#loads[member] ?? 0) <= enough);
      if (fit.length > 0) {
        const least = fit.reduce((a, b) => ((this.#loads[b] ?? 0) < (this.#loads[a] ?? 0) ? b : a));
        const path: [number, number][] = [];
        for (let member = least; member !== from; ) {
          const giver = cameFrom.get(member) ?? from;
          path.unshift([giver, member]);
          member = giver;
        }
        return path;
      }
      level = next;
    }
    return null;
  }

  /** Of the partitions that can go, one of the topic of which the giver has most and the taker least. */
  #move(giver: number, taker: number, kinds: readonly ('fresh' | 'kept')[]): void {
    for (const kind of kinds) {
      let best: Place | null = null;
      let bestGain = Number.NEGATIVE_INFINITY;
      for (const { candidates, ...held } of this.#peers) {
        if (!candidates.includes(taker)) continue;
        for (const place of held[kind][giver] ?? []) {
          const gain = this.#ofTopic(giver, place.topic) - this.#ofTopic(taker, place.topic);
          if (gain > bestGain) [best, bestGain] = [place, gain];
        }
      }
      if (best === null) continue;
      this.#take(best);
      this.#give(best, taker);
      return;
    }
  }

  #give(place: Place, member: number): void {
    place.target = member;
    this.#held(place)?.add(place);
    this.#count(place, 1);
  }

  #take(place: Place): void {
    this.#held(place)?.delete(place);
    this.#count(place, -1);
  }

  #held(place: Place): Set<Place> | undefined {
    const peers = this.#peersOf.get(place);
    return peers?.[place.owner === place.target ? 'kept' : 'fresh'][place.target];
  }

  #count({ target, topic }: Place, change: 1 | -1): void {
    this.#loads[target] = (this.#loads[target] ?? 0) + change;
    this.#topicLoads[target]?.set(topic, this.#ofTopic(target, topic) + change);
  }

  #ofTopic(member: number, topic: string): number {
    return this.#topicLoads[member]?.get(topic) ?? 0;
  }
}
