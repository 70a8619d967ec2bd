/** When everything has crashed: one more run, then nothing may be lost, doubled, stuck or left lying about. */
import { checkIdeal } from './ideal.ts';
import { runAlone } from './machine.ts';
import { COMMIT } from './protocol.ts';
import type { Actor, Rules } from './rules.ts';
import { Violation, type World } from './world.ts';

const JUDGE = 90;

/**
 * @returns The world after that run.
 * @throws Violation
 */
export function judge(world: World, rules: Rules): World {
  const actor: Actor = { run: JUDGE, command: 'load', rules, isJudge: true };
  const { why, world: after } = runAlone(COMMIT, actor, world);
  if (why !== 'ok') throw new Violation(`the run after it ends with "${why}"`);
  checkIdeal(after, rules.target === 'file');
  const quiet: Actor = { ...actor, run: JUDGE + 1, isJudge: false };
  const last = runAlone(COMMIT, { ...quiet, rules: { ...rules, maxHighWatermark: 0 } }, after);
  if (last.why !== 'ok') throw new Violation(`a run without new messages ends with "${last.why}"`);
  const left = last.world.staging.filter(({ items }) => items.length > 0).map(({ run }) => run);
  if (left.length > 0) throw new Violation(`staging of run ${left.join(', ')} is left for ever`);
  const names = last.world.files.filter(({ kind }) => kind !== 'done').map(({ kind, run }) => `${kind} of run ${run}`);
  if (names.length > 0 || last.world.files.length > 1) {
    throw new Violation(`beside the saved offsets is left for ever: ${names.join(', ') || 'more than one done'}`);
  }
  return after;
}
