/**
 * What this process may append, by partition: where it goes on, after which entry, and whether the group holds that. So no
 * entry is made before the group commit of what came before it, by whomever, has succeeded.
 */
import { OffloadError } from '../../errors.ts';
import { offsetKey, type Place } from '../../plan/places.ts';
import type { GroupOffset, Position } from '../types.ts';
import type { ChainEntry, HandSetting, Move } from './entry.ts';
import { type ChainPositions, compareWithGroup } from './positions.ts';

interface Claim {
  /** Null: nobody knows, so the caller chooses. */
  offset: number | null;
  /** Number of the last entry that names the partition; 0: none. */
  entry: number;
  /** Null: none. `unknown`: it may have moved. */
  group: number | null | 'unknown';
  byHand: HandSetting | null;
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

  /** Takes partitions in, as chain and group have them. */
  resume(
    committed: readonly GroupOffset[],
    topicIds: Readonly<Record<string, string>>,
    chain: ChainPositions,
  ): Resumed {
    const positions: Position[] = [];
    const toCommit: Position[] = [];
    const byHand: HandSetting[] = [];
    const madeAgain = new Set<string>();
    for (const { topic, partition, offset: group } of committed) {
      const key = offsetKey({ topic, partition });
      const position = chain.get(key);
      const standing = compareWithGroup(position, group, topicIds[topic] ?? null);
      const { kind, offset } = standing;
      const setting = kind === 'byHand' ? standing.setting : null;
      this.#claims.set(key, { offset, entry: position?.entry ?? 0, group, byHand: setting });
      if (setting) byHand.push(setting);
      if (kind === 'madeAgain') madeAgain.add(topic);
      if (offset === null) continue;
      positions.push({ topic, partition, offset });
      if (group !== offset) toCommit.push({ topic, partition, offset });
    }
    return { positions, toCommit, madeAgain: [...madeAgain], byHand };
  }

  groupHolds(positions: readonly Position[]): void {
    for (const position of positions) {
      const claim = this.#claims.get(offsetKey(position));
      if (claim) claim.group = position.offset;
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
      const claim = this.#claims.get(key);
      if (!claim)
        throw new OffloadError('INTERNAL', `nothing can be written of ${key}: it was not resumed, or released`);
      const position = chain.get(key);
      if ((position?.entry ?? 0) !== claim.entry) {
        return { kind: 'overtaken', why: `entry ${position?.entry} moved ${key} on to ${position?.next}` };
      }
      if (claim.offset !== null && claim.offset !== move.start) {
        return { kind: 'overtaken', why: `${key} goes on at ${claim.offset}, not at ${move.start}` };
      }
      if (claim.offset !== null && claim.group !== claim.offset) {
        throw new OffloadError(
          'INTERNAL',
          `nothing can be written of ${key} from ${move.start}: the group holds ${claim.group}; commit first`,
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
      if (!claim) continue;
      claim.offset = move.next;
      claim.entry = number;
      claim.byHand = null;
    }
  }

  /** Takes over where the chain stands by now. @returns Where each partition goes on. */
  overtaken(partitions: readonly Place[], chain: ChainPositions): Position[] {
    return partitions.flatMap(({ topic, partition }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claims.get(key);
      if (!claim) return [];
      const position = chain.get(key);
      if (position && position.entry !== claim.entry) {
        // One that slept wrote on from where a person had set the group already: that is still to be obeyed.
        const isObeyed = position.handEntry > claim.entry || position.next === claim.offset;
        const isDue = claim.byHand !== null && !isObeyed;
        claim.byHand = isDue && claim.byHand ? { ...claim.byHand, chain: position.next } : null;
        if (!isDue) Object.assign(claim, { offset: position.next, group: 'unknown' });
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
}
