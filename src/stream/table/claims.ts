/**
 * Where this process may append, by partition. A micro-batch is written only after the group has taken the one before it,
 * so the group holds the start or the end of what the table's position says; any other value was set by a person.
 *
 * That holds of one moment. So the table is read (`take`), then the group is asked, and what the table said must still
 * stand (`resume`): a process that slept in between would take what others moved meanwhile for the hand of a person.
 */
import { OffloadError } from '../../errors.ts';
import { comparePlaces, offsetKey, type Place } from '../../plan/places.ts';
import type { OffsetRange } from '../../tasks.ts';
import type { GroupOffset, Position } from '../types.ts';
import type { Correction, Move, TablePosition } from './database.ts';

interface Claim {
  /** Null: nobody knows, so whoever reads begins where it likes. */
  position: number | null;
  /** Whether the table has a position: the same one. */
  isInTable: boolean;
  /** What the group holds, as far as is known; null: nothing. */
  group: number | null;
  topicId: string | null;
}

/** What became of the partitions that were taken in. */
export interface Resumed {
  readonly positions: readonly Position[];
  readonly corrections: readonly Correction[];
  readonly warnings: readonly string[];
  /** Topics of which the table has rows of another of that name. */
  readonly madeAgain: readonly string[];
}

export class Claims {
  readonly #claims = new Map<string, Claim>();
  /** What the table said before the group was asked; null: nothing. */
  readonly #taken = new Map<string, TablePosition | null>();

  /** Partitions became ours. @param found What the table says of them. */
  take(partitions: readonly Place[], found: readonly TablePosition[]): void {
    const inTable = byKey(found);
    for (const partition of partitions) {
      const key = offsetKey(partition);
      this.#taken.set(key, inTable.get(key) ?? null);
    }
  }

  /**
   * Says where they go on.
   *
   * @param committed What the group holds, asked after `take`.
   * @param found What the table says of them now.
   * @throws OffloadError OVERTAKEN if that is something else than before.
   */
  resume(
    committed: readonly GroupOffset[],
    found: readonly TablePosition[],
    topicIds: Readonly<Record<string, string>>,
  ): Resumed {
    const inTable = byKey(found);
    this.#checkUnmoved(committed, inTable);
    const positions: Position[] = [];
    const corrections: Correction[] = [];
    const warnings: string[] = [];
    const madeAgain = new Set<string>();
    for (const { topic, partition, offset: group } of committed) {
      const key = offsetKey({ topic, partition });
      const topicId = topicIds[topic] ?? null;
      const { position, warning, isMadeAgain } = choose(inTable.get(key), group, topicId);
      if (isMadeAgain) madeAgain.add(topic);
      if (warning !== null) {
        warnings.push(warning);
        corrections.push({ topic, partition, next: position, topicId });
      }
      this.#claims.set(key, { position, isInTable: position !== null && inTable.has(key), group, topicId });
      if (position !== null) positions.push({ topic, partition, offset: position });
    }
    return { positions, corrections, warnings, madeAgain: [...madeAgain] };
  }

  #checkUnmoved(committed: readonly Place[], inTable: ReadonlyMap<string, TablePosition>): void {
    for (const partition of committed) {
      const key = offsetKey(partition);
      const taken = this.#taken.get(key);
      if (taken === undefined) throw internal(`${key} was not claimed`);
      const now = inTable.get(key);
      if (taken?.start === now?.start && taken?.next === now?.next) continue;
      throw new OffloadError(
        'OVERTAKEN',
        `another process moved ${key} in the table from ${taken?.next ?? 'nothing'} to ${now?.next ?? 'nothing'} while the ` +
          'group was asked; it is asked again',
        { context: { ...partition } },
      );
    }
  }

  groupHolds(positions: readonly Position[]): void {
    for (const position of positions) {
      const claim = this.#claims.get(offsetKey(position));
      if (claim) claim.group = position.offset;
    }
  }

  release(partitions: readonly Place[]): void {
    for (const partition of partitions) {
      this.#claims.delete(offsetKey(partition));
      this.#taken.delete(offsetKey(partition));
    }
  }

  /**
   * What a micro-batch moves, in the one order in which everybody locks.
   *
   * @throws OffloadError INTERNAL for a partition that is not ours, another start than agreed, or a group commit that has
   *   not been told.
   */
  moves(ranges: readonly OffsetRange[]): Move[] {
    return [...ranges].sort(comparePlaces).map(({ topic, partition, startOffset, endOffset }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claims.get(key);
      if (!claim) throw internal(`${key} was not resumed, or released`);
      const { position, isInTable, group, topicId } = claim;
      if (position !== null && position !== startOffset)
        throw internal(`${key} goes on at ${position}, not ${startOffset}`);
      if (position !== null && position !== group)
        throw internal(`the group holds ${group} of ${key}; commit ${position}`);
      return { topic, partition, start: startOffset, next: endOffset, topicId, from: isInTable ? startOffset : null };
    });
  }

  /** The micro-batch is in the table. */
  moved(moves: readonly Move[]): void {
    for (const { next, ...place } of moves) {
      const claim = this.#claims.get(offsetKey(place));
      if (claim) Object.assign(claim, { position: next, isInTable: true });
    }
  }

  /** @returns Where each of these partitions goes on by now; those that nobody knows of are left out. */
  overtaken(moves: readonly Move[], found: readonly TablePosition[]): Position[] {
    const inTable = byKey(found);
    return moves.flatMap(({ topic, partition }) => {
      const key = offsetKey({ topic, partition });
      const claim = this.#claims.get(key);
      if (!claim) return [];
      const position = inTable.get(key);
      if (position) Object.assign(claim, { position: position.next, isInTable: true });
      // Somebody removed the row: what we know is where we were.
      else claim.isInTable = false;
      return claim.position === null ? [] : [{ topic, partition, offset: claim.position }];
    });
  }
}

function byKey(positions: readonly TablePosition[]): ReadonlyMap<string, TablePosition> {
  return new Map(positions.map((position) => [offsetKey(position), position]));
}

/** @returns Warning null: the table needs no correction. */
function choose(
  found: TablePosition | undefined,
  group: number | null,
  topicId: string | null,
): { readonly position: number | null; readonly warning: string | null; readonly isMadeAgain: boolean } {
  if (!found) return { position: group, warning: null, isMadeAgain: false };
  const { start, next } = found;
  const key = offsetKey(found);
  if (found.topicId !== null && topicId !== null && found.topicId !== topicId) {
    const begin = group === null ? 'its startingOffsets' : `offset ${group}, which the group holds`;
    return {
      position: group,
      isMadeAgain: true,
      warning: `${found.topic} was made again: rows of ${key} up to offset ${next} are of the topic before it; going on at ${begin}`,
    };
  }
  if (group === null || group === start || group === next) return { position: next, warning: null, isMadeAgain: false };
  const effect =
    group < next
      ? `rows of offsets ${group} to ${next - 1} may come twice`
      : `offsets ${next} to ${group - 1} are left out`;
  return {
    position: group,
    isMadeAgain: false,
    warning: `the group's offset of ${key} was set to ${group} by hand, where the table is at ${next}: it is obeyed, so ${effect}`,
  };
}

function internal(why: string): OffloadError {
  return new OffloadError('INTERNAL', `nothing can be written to the table: ${why}`);
}
