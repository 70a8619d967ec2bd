/**
 * What this process may append, by partition: where it goes on, behind which entry, and whether the group holds that. So no
 * entry is made before the group commit of what came before it, by whomever, has succeeded.
 *
 * The chain is read before the group is asked, and entries that come meanwhile are followed. What the group then says is
 * the start or the end of one of them, or a person set it. The other way round, one that slept between the two would take
 * an offset that has long been passed for the wish of a person.
 */
import { OffloadError } from '../../errors.ts';
import { offsetKey, type Place } from '../../plan/places.ts';
import type { GroupOffset, Position } from '../types.ts';
import type { ChainEntry, HandSetting, Move } from './entry.ts';
import type { ChainPosition, ChainPositions } from './positions.ts';

interface Claim {
  /** Where it goes on. Null: nobody knows, so the caller chooses. */
  offset: number | null;
  /** Number of the last entry that names the partition; 0: none. */
  entry: number;
  /** What it said when it was asked, or was told; null: none. */
  group: number | null | 'unasked';
  /** It holds `offset`, or nothing where that is null. Not so where an entry came since: it may have moved as well. */
  isHeld: boolean;
  byHand: HandSetting | null;
  /** Starts and ends of the entries that name it, since the chain was read first; null: we have made one ourselves. */
  marks: Set<number> | null;
}

export type ClaimCheck =
  | { readonly kind: 'ours'; readonly byHand: readonly HandSetting[] }
  | { readonly kind: 'overtaken'; readonly why: string };

export interface Resumed {
  readonly positions: readonly Position[];
  readonly toCommit: readonly Position[];
  readonly madeAgain: readonly string[];
  readonly byHand: readonly HandSetting[];
}

export class Claims {
  readonly #claims = new Map<string, Claim>();

  /** Takes partitions as the chain has them, before the group is asked. */
  take(partitions: readonly Place[], chain: ChainPositions): void {
    for (const partition of partitions) {
      const key = offsetKey(partition);
      const position = chain.get(key);
      const marks = new Set(position ? [position.start, position.next] : []);
      const entry = position?.entry ?? 0;
      this.#claims.set(key, { offset: null, entry, group: 'unasked', isHeld: false, byHand: null, marks });
    }
  }

  /** Entries were read that follow. */
  see(entries: readonly ChainEntry[]): void {
    for (const move of entries.flatMap(({ moves }) => moves)) {
      const marks = this.#claims.get(offsetKey(move))?.marks;
      marks?.add(move.start).add(move.next);
    }
  }

  /** Entries were passed over that are folded: what the group says cannot be told from theirs. */
  jump(chain: ChainPositions): void {
    for (const [key, claim] of this.#claims) {
      if ((chain.get(key)?.entry ?? 0) !== claim.entry) claim.marks = null;
    }
  }

  /**
   * Takes in what the group holds.
   *
   * @param topicIds A topic without one is taken for the one that the chain knows.
   * @throws OffloadError INTERNAL for partitions that were not taken.
   */
  resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>>,
    chain: ChainPositions,
  ): Resumed {
    const madeAgain = new Set<string>();
    const claims = committed.map(({ topic, partition, offset: group }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claimOf(key);
      const position = chain.get(key);
      const id = topicIds[topic];
      const isOther = position?.topicId != null && id !== undefined && position.topicId !== id;
      if (isOther) madeAgain.add(topic);
      claim.group = group;
      settle(claim, isOther ? undefined : position);
      claim.isHeld = group === claim.offset && claim.entry === (position?.entry ?? 0);
      claim.entry = position?.entry ?? 0;
      return { topic, partition, claim };
    });
    const positions = claims.flatMap(({ topic, partition, claim: { offset } }) => {
      return offset === null ? [] : [{ topic, partition, offset }];
    });
    return {
      positions,
      toCommit: positions.filter((position) => !this.#claimOf(offsetKey(position)).isHeld),
      madeAgain: [...madeAgain],
      byHand: claims.flatMap(({ claim }) => claim.byHand ?? []),
    };
  }

  groupHolds(positions: readonly Position[]): void {
    for (const position of positions) {
      const claim = this.#claims.get(offsetKey(position));
      if (!claim || claim.group === 'unasked') continue;
      claim.group = position.offset;
      claim.isHeld = position.offset === claim.offset;
    }
  }

  release(partitions: readonly Place[]): void {
    for (const partition of partitions) this.#claims.delete(offsetKey(partition));
  }

  /**
   * Whether a micro-batch may become the next entry.
   *
   * @throws OffloadError INTERNAL for a partition that is not ours, or a group commit that has not been told.
   */
  check(moves: readonly Move[], chain: ChainPositions): ClaimCheck {
    const byHand: HandSetting[] = [];
    for (const move of moves) {
      const key = offsetKey(move);
      const claim = this.#claimOf(key);
      const position = chain.get(key);
      if ((position?.entry ?? 0) !== claim.entry) {
        return { kind: 'overtaken', why: `entry ${position?.entry} moved ${key} on to ${position?.next}` };
      }
      if (claim.offset !== null && claim.offset !== move.start) {
        return { kind: 'overtaken', why: `${key} goes on at ${claim.offset}, not at ${move.start}` };
      }
      if (!claim.isHeld) {
        throw new OffloadError(
          'INTERNAL',
          `nothing can be written of ${key} from ${move.start}: the group held ${claim.group} last; commit to it first`,
        );
      }
      if (claim.byHand) byHand.push(claim.byHand);
    }
    return { kind: 'ours', byHand };
  }

  /** An entry of ours was made. */
  moved({ number, moves }: ChainEntry): void {
    for (const move of moves) {
      const claim = this.#claims.get(offsetKey(move));
      if (claim) Object.assign(claim, { offset: move.next, entry: number, isHeld: false, byHand: null, marks: null });
    }
  }

  /** Takes over where the chain stands by now. @returns Where each partition goes on. */
  overtaken(partitions: readonly Place[], chain: ChainPositions): Position[] {
    return partitions.flatMap(({ topic, partition }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claimOf(key);
      const position = chain.get(key);
      if (position && position.entry !== claim.entry) {
        settle(claim, position);
        claim.isHeld = false;
        claim.entry = position.entry;
      }
      return claim.offset === null ? [] : [{ topic, partition, offset: claim.offset }];
    });
  }

  /** Whether the group holds all that an entry moved, or has gone on from there, as far as is known. */
  isCommitted(moves: readonly Move[]): boolean {
    return moves.every((move) => {
      const claim = this.#claims.get(offsetKey(move));
      return !claim || (typeof claim.group === 'number' && claim.group >= move.next);
    });
  }

  #claimOf(key: string): Claim {
    const claim = this.#claims.get(key);
    if (claim) return claim;
    throw new OffloadError('INTERNAL', `nothing can be written of ${key}: it was not claimed, or released`);
  }
}

/**
 * Where a partition goes on. A process makes an entry only when the group holds the start of it: so the group holds the
 * start or the end of the last entry there was when it was asked, and the chain is right; any other value was set by a
 * person, and is right. A group that holds nothing never got its first commit, or has forgotten it: the chain is right.
 *
 * @param position Undefined: the chain knows nothing of it.
 */
function settle(claim: Claim, position: ChainPosition | undefined): void {
  const { group, marks } = claim;
  claim.byHand = null;
  if (!position) {
    claim.offset = typeof group === 'number' ? group : null;
    return;
  }
  claim.offset = position.next;
  if (typeof group !== 'number' || marks === null || marks.has(group)) return;
  const { topic, partition, next } = position;
  claim.byHand = { topic, partition, chain: next, group };
  claim.offset = group;
}
