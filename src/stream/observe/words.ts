/** Figures and ranges of a stream in a few words. */
import type { OffsetRange } from '../../tasks.ts';
import type { TopicPartition } from '../types.ts';
import { partitionKey } from './partitions.ts';

/** A line of a log stays readable with a thousand partitions. */
const NAMED = 8;

export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

/** `orders/0, orders/1 and 62 more`. */
export function namesOf(partitions: readonly TopicPartition[]): string {
  return listed(partitions.map(partitionKey));
}

/** `orders/0 [100, 200), orders/1 [0, 50) and 62 more`. */
export function rangesOf(ranges: readonly OffsetRange[]): string {
  return listed(ranges.map((range) => `${partitionKey(range)} [${range.startOffset}, ${range.endOffset})`));
}

function listed(names: readonly string[]): string {
  const shown = names.length > NAMED + 1 ? names.slice(0, NAMED) : names;
  const rest = names.length - shown.length;
  return rest === 0 ? shown.join(', ') : `${shown.join(', ')} and ${rest.toLocaleString('en-US')} more`;
}

/** `0.4 s`, `45 s`, `3 min`, `2 h 7 min`, `3 days 4 h`. */
export function durationOf(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}
