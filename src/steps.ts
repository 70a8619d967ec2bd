/**
 * Named points of a run, at which tests kill, stop or signal the process. A name says what has just been done. Steps are
 * passed once for a file, a task or a transaction, never for a row.
 */
import { channel } from 'node:diagnostics_channel';

/** A subscriber of this channel, in the same thread, is called with `{ name }` before the run goes on. */
const steps = channel('kafkaload:step');

/** Without a subscriber, which only a test has, this is one comparison. */
export function passStep(name: string): void {
  if (steps.hasSubscribers) steps.publish({ name });
}
