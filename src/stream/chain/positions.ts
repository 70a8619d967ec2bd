/** Where a stream stands, by partition, as its chain tells; and what that is worth against the group's own offset. */
import { z } from 'zod';
import { offsetKey, type Place } from '../../plan/places.ts';
import { count, place } from '../../sinks/manifestShape.ts';
import type { ChainEntry, HandSetting } from './entry.ts';

/** What the last entry that names a partition says of it. */
export interface ChainPosition extends Place {
  readonly start: number;
  readonly next: number;
  /** Number of that entry. */
  readonly entry: number;
  /** Number of the last entry that obeyed a hand setting of the partition; 0: none did. */
  readonly handEntry: number;
  /** Null where the broker has none. */
  readonly topicId: string | null;
}

export const POSITION = z.object({
  ...place,
  start: count,
  next: count,
  entry: count,
  handEntry: count,
  topicId: z.string().nullable(),
});

export type ChainPositions = Map<string, ChainPosition>;

export function positionsOf(list: readonly ChainPosition[]): ChainPositions {
  return new Map(list.map((position) => [offsetKey(position), position]));
}

/** Takes an entry in that follows all that are in. */
export function moveOn(positions: ChainPositions, { number, moves, byHand, topicIds }: ChainEntry): void {
  const obeyed = new Set(byHand.map(offsetKey));
  for (const { topic, partition, start, next } of moves) {
    const key = offsetKey({ topic, partition });
    const handEntry = obeyed.has(key) ? number : (positions.get(key)?.handEntry ?? 0);
    positions.set(key, { topic, partition, start, next, entry: number, handEntry, topicId: topicIds[topic] ?? null });
  }
}

/** Where reading goes on. `none`: neither chain nor group know. `madeAgain`: the chain knows another topic of that name. */
export type Standing =
  | { readonly kind: 'none' | 'madeAgain'; readonly offset: number | null }
  | { readonly kind: 'chain'; readonly offset: number }
  | { readonly kind: 'byHand'; readonly offset: number; readonly setting: HandSetting };

/**
 * A process makes an entry only when the group holds the start of it. So the group holds the start or the end of the last
 * entry, and the entry is right; any other value was set by a person, and is right.
 *
 * @param group Null: the group has none, since its first commit never came, or since it was forgotten: the chain is right.
 */
export function compareWithGroup(
  position: ChainPosition | undefined,
  group: number | null,
  topicId: string | null,
): Standing {
  if (!position) return { kind: 'none', offset: group };
  const { topic, partition, start, next } = position;
  if (position.topicId !== null && topicId !== null && position.topicId !== topicId) {
    return { kind: 'madeAgain', offset: group };
  }
  if (group === null || group === start || group === next) return { kind: 'chain', offset: next };
  return { kind: 'byHand', offset: group, setting: { topic, partition, chain: next, group } };
}

/** For the log. */
export function describeSetting({ topic, partition, chain, group }: HandSetting): string {
  const key = offsetKey({ topic, partition });
  const effect =
    group < chain
      ? `offsets ${group} to ${chain - 1} may be there twice`
      : `the files lack offsets ${chain} to ${group - 1}`;
  return `the group's offset of ${key} was set to ${group} by hand, where the files end at ${chain}: it is obeyed, so ${effect}`;
}
