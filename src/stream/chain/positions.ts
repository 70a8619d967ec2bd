/** Where a stream stands, by partition, as its chain tells. */
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
  /** Null where the broker has none. */
  readonly topicId: string | null;
}

export const POSITION = z.object({
  ...place,
  start: count,
  next: count,
  entry: count,
  topicId: z.string().nullable(),
});

export type ChainPositions = Map<string, ChainPosition>;

export function positionsOf(list: readonly ChainPosition[]): ChainPositions {
  return new Map(list.map((position) => [offsetKey(position), position]));
}

/** Takes an entry in that follows all that are in. */
export function moveOn(positions: ChainPositions, { number, moves, topicIds }: ChainEntry): void {
  for (const { topic, partition, start, next } of moves) {
    const position = { topic, partition, start, next, entry: number, topicId: topicIds[topic] ?? null };
    positions.set(offsetKey(position), position);
  }
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
