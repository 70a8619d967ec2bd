/**
 * What this process may append, by partition: where it goes on, behind which entry, and whether the group holds that. So no
 * entry is made before the group commit of what came before it, by whomever, has succeeded.
 *
 * The chain is read before the group is asked, and what the group says is worth something only if the chain has not moved
 * since. The other way round, one that slept between the two would take an offset that has long been passed for the wish of
 * a person.
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
  /** The group holds `offset`, as far as it was asked or told. */
  isHeld: boolean;
  byHand: HandSetting | null;
}

export type ClaimCheck =
  | { readonly kind: 'ours'; readonly byHand: readonly HandSetting[] }
  | { readonly kind: 'overtaken'; readonly why: string };

export interface Resumed {
  readonly positions: readonly Position[];
  readonly madeAgain: readonly string[];
  readonly byHand: readonly HandSetting[];
}

export class Claims {
  readonly #claims = new Map<string, Claim>();

  /** Takes partitions as the chain has them, before the group is asked. */
  take(partitions: readonly Place[], chain: ChainPositions): void {
    for (const partition of partitions) {
      const key = offsetKey(partition);
      this.#claims.set(key, { offset: null, entry: chain.get(key)?.entry ?? 0, isHeld: false, byHand: null });
    }
  }

  /**
   * Takes in what the group holds.
   *
   * @param topicIds A topic without one is taken for the one that the chain knows.
   * @throws OffloadError OVERTAKEN if the chain has moved since `take`; INTERNAL for partitions that were not taken.
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
      if ((position?.entry ?? 0) !== claim.entry) throw movedMeanwhile(key, position);
      const id = topicIds[topic];
      const isOther = position?.topicId != null && id !== undefined && position.topicId !== id;
      if (isOther) madeAgain.add(topic);
      Object.assign(claim, settle(isOther ? undefined : position, group));
      claim.isHeld = claim.offset === group;
      return { topic, partition, claim };
    });
    return {
      positions: claims.flatMap(({ topic, partition, claim: { offset } }) => {
        return offset === null ? [] : [{ topic, partition, offset }];
      }),
      madeAgain: [...madeAgain],
      byHand: claims.flatMap(({ claim }) => claim.byHand ?? []),
    };
  }

  /** What was committed to the group; where nobody knew how to go on, it goes on there. */
  groupHolds(positions: readonly Position[]): void {
    for (const position of positions) {
      const claim = this.#claims.get(offsetKey(position));
      if (!claim) continue;
      claim.offset ??= position.offset;
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
          `nothing can be written of ${key} from ${move.start}: it is not known that the group holds that; commit first`,
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
      if (claim) Object.assign(claim, { offset: move.next, entry: number, isHeld: false, byHand: null });
    }
  }

  /**
   * Takes over where the chain stands by now.
   *
   * @returns Where each partition goes on.
   * @throws OffloadError OVERTAKEN if a person had set the group: whether that was obeyed, only the group can say.
   */
  overtaken(partitions: readonly Place[], chain: ChainPositions): Position[] {
    return partitions.flatMap(({ topic, partition }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claimOf(key);
      const position = chain.get(key);
      if (position && position.entry !== claim.entry) {
        if (claim.byHand) throw movedMeanwhile(key, position);
        Object.assign(claim, { offset: position.next, entry: position.entry, isHeld: false });
      }
      return claim.offset === null ? [] : [{ topic, partition, offset: claim.offset }];
    });
  }

  /** Whether the group holds all that an entry moved, or another has it now, as far as is known. */
  isCommitted({ number, moves }: ChainEntry): boolean {
    return moves.every((move) => {
      const claim = this.#claims.get(offsetKey(move));
      return !claim || claim.entry > number || claim.isHeld;
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
 * start or the end of the last entry, and the chain is right; any other value was set by a person, and is right. A group
 * that holds nothing never got its first commit, or has forgotten it: the chain is right.
 */
function settle(position: ChainPosition | undefined, group: number | null): Pick<Claim, 'offset' | 'byHand'> {
  if (!position) return { offset: group, byHand: null };
  const { topic, partition, start, next } = position;
  if (group === null || group === start || group === next) return { offset: next, byHand: null };
  return { offset: group, byHand: { topic, partition, chain: next, group } };
}

function movedMeanwhile(key: string, position: ChainPosition | undefined): OffloadError {
  return new OffloadError(
    'OVERTAKEN',
    `${key} was moved on to ${position?.next} by entry ${position?.entry} of another process meanwhile`,
  );
}
