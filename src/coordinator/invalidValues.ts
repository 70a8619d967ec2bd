import type { TopicSource } from '../config/job.ts';
import type { Log } from './log.ts';

/**
 * Says that values were replaced or made null.
 *
 * @param counts Values of each task or unit.
 * @returns The warning for the report; none if all values were UTF-8.
 */
export function warnOfInvalidUtf8(
  counts: readonly { readonly invalidUtf8: number }[],
  { invalidUtf8 }: Pick<TopicSource, 'invalidUtf8'>,
  { log }: { readonly log: Pick<Log, 'warn'> },
): string[] {
  const values = counts.reduce((sum, count) => sum + count.invalidUtf8, 0);
  if (values === 0) return [];
  const warning = `${values} ${values === 1 ? 'value was' : 'values were'} not UTF-8; invalidUtf8 is ${invalidUtf8}`;
  log.warn(warning);
  return [warning];
}
