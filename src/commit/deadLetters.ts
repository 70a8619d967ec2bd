/** When the dead letters of a run are written: once its files are published, and before its offsets are saved. */
import type { FileSystem } from '../io.ts';
import type { RunContext } from './context.ts';
import { refuseDiscard, restoreStaging } from './discard.ts';
import { blocked, type IntentRecord } from './intent.ts';
import type { Intent } from './types.ts';

/**
 * @param isHeld Whether the intent still stands.
 * @returns False: it does not, so another has finished the run, or will.
 * @throws OffloadError RECOVERY_BLOCKED for a command that cannot write them; what the brokers refuse.
 */
export async function deliverDeadLetters(
  { deadLetters: office, step }: RunContext,
  record: IntentRecord,
  { deadLetters, config, run }: Intent,
  isHeld: () => Promise<boolean>,
): Promise<boolean> {
  if (!deadLetters) return true;
  if (!office)
    throw blocked(record, `it has dead letters for topic ${deadLetters.topic}, and this command writes none`);
  await step('deadLetters.begun');
  if (!(await office.deliver({ ...deadLetters, config, run }, isHeld))) return false;
  await step('deadLetters.written');
  return true;
}

/**
 * After the staging folder of a run was put aside: nobody can read its dead letters any more. Puts it back if some are
 * written: the next run would write them again.
 *
 * @throws OffloadError RECOVERY_BLOCKED
 */
export async function checkDeadLetters(fs: FileSystem, context: RunContext, record: IntentRecord): Promise<void> {
  const { deadLetters: progress, config, run } = record;
  if (progress === null) return;
  const { deadLetters: office } = context;
  if (office && !(await office.isDelivered({ progress, config, run }))) return;
  await restoreStaging(fs, record);
  const why = office
    ? 'its dead letters are written already'
    : 'whether its dead letters are written cannot be told here';
  throw refuseDiscard(record, why);
}
