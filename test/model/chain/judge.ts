/** What must hold of a chain: at any moment, and when everybody is dead and one more process has ended. */
import { runAlone } from '../machine.ts';
import { Violation } from '../world.ts';
import { CHAIN } from './process.ts';
import type { ChainActor, ChainRules } from './rules.ts';
import { chainOf, type Entry, type World } from './world.ts';

const JUDGE = 9;

/** @throws Violation */
export function judgeChain(world: World, rules: ChainRules): void {
  checkVisible(world, chainOf(world));
  const after = takeOver(takeOver(world, rules, JUDGE), rules, JUDGE - 1);
  const chain = chainOf(after);
  checkVisible(after, chain);
  checkOffsets(after, chain, rules);
  const visible = rules.target === 'file' ? after.exact.split('+').filter((batch) => batch !== '') : after.target;
  for (const { number, batch } of chain) {
    if (!visible.includes(batch)) throw new Violation(`the rows of entry ${number}, ${batch}, are lost`);
  }
  if (rules.target === 'file' && after.exact !== chain.map(({ batch }) => batch).join('+')) {
    throw new Violation(`the exact file holds ${after.exact}`);
  }
  for (const [partition, offset] of after.group.entries()) {
    const end = rules.messages[partition] ?? 0;
    if (end > 0 && offset !== end)
      throw new Violation(`the group ends at ${offset} of partition ${partition}, not at ${end}`);
  }
  const [left] = after.staging;
  if (left) throw new Violation(`staging of ${left.batch} is left for ever`);
  const checkpoint = after.checkpoints.at(-1) ?? 0;
  const folded = after.entries.find(({ number }) => number <= checkpoint);
  if (folded) throw new Violation(`${folded.number}.json is folded and left for ever`);
}

/** Everybody is dead, and another process gets all partitions. */
function takeOver(world: World, rules: ChainRules, process: number): World {
  const dead = Array.from({ length: 9 }, (_, index) => index + 1).filter((other) => other !== process);
  const generation = world.generation + 1;
  const start: World = { ...world, dead, generation, owners: [process, process], ownedSince: [generation, generation] };
  const actor: ChainActor = { process, rules, isJudge: true };
  const { why, world: after } = runAlone(CHAIN, actor, start);
  if (why !== 'waits for awaitRebalance') throw new Violation(`the process after it ends with "${why}"`);
  return after;
}

/** Nothing is visible that does not count. */
function checkVisible({ target, exact }: World, chain: readonly Entry[]): void {
  const counted = new Set(chain.map(({ batch }) => batch));
  const stray = [...target, ...exact.split('+')].find((batch) => batch !== '' && !counted.has(batch));
  if (stray !== undefined) throw new Violation(`the rows of ${stray} are visible, and no entry names them`);
}

/** Each entry begins where the one before it ended, or where a person wished, who was obeyed. */
function checkOffsets({ wishes }: World, chain: readonly Entry[], { messages }: ChainRules): void {
  const moves = chain.flatMap((entry) => entry.moves);
  for (const partition of [0, 1]) {
    const own = moves.filter((move) => move.partition === partition);
    const wished = wishes.filter((wish) => wish.partition === partition);
    let end = 0;
    for (const { start, next, hand } of own) {
      if (hand >= 0 && !(hand === start && wished.some(({ offset }) => offset === hand))) {
        throw new Violation(`nobody set partition ${partition} to ${hand}`);
      }
      const isFirst = end === 0 && wished.some(({ offset }) => offset === start);
      if (start !== end && hand < 0 && !isFirst) {
        const what =
          start < end ? `offsets ${start} to ${end - 1} are there twice` : `offsets ${end} to ${start - 1} are lost`;
        throw new Violation(`of partition ${partition}, ${what}`);
      }
      end = next;
    }
    const last = wished.at(-1);
    // There is nothing to read at the end.
    if (!last || last.offset === messages[partition]) continue;
    const later = own.slice(last.after);
    const isObeyed = later.some(({ start, next }) => start === last.offset || next === last.offset);
    if (!isObeyed && later.length > 0)
      throw new Violation(`partition ${partition} was set to ${last.offset}: nobody obeyed`);
  }
}
