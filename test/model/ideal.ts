/**
 * What should be: kept beside the world, changed in the one instant at which a run prepares, changes saved offsets or
 * is given back. Every operation that moves what a person sees or reads is checked against it.
 *
 * A person may edit the saved offset of partition 0 while runs are at work or asleep. No run can notice that between
 * its last look and its write, so the rule is: a run that had read before the edit may overwrite it, one that read after
 * it keeps it; and a recovery, which reads before it begins, never writes what another had read.
 */
import { compareText, type Intent, type Offsets, Violation, type World } from './world.ts';

/** A run prepares: the ideal run happens. */
export function prepareIdeal(world: World, intent: Intent): World {
  const { ideal } = world;
  const isStale = intent.hands < world.hands;
  const starts0 = isStale || ideal.saved0.includes(intent.previous[0]);
  if (!starts0 || intent.previous[1] !== ideal.saved1) {
    throw new Violation(
      `run ${intent.run} prepares from ${intent.previous}, but what is prepared goes to ${ideal.saved0},${ideal.saved1}`,
    );
  }
  const moves0 = intent.next[0] !== intent.previous[0];
  const kept0 = isStale ? [...ideal.saved0, intent.next[0]] : [intent.next[0]];
  const saved0 = moves0 || intent.change ? kept0 : isStale ? [...ideal.saved0, intent.previous[0]] : ideal.saved0;
  return {
    ...world,
    ideal: {
      saved0: sortedNumbers(saved0),
      saved1: intent.next[1],
      visible: [...ideal.visible.filter((file) => !intent.replaced.includes(file)), ...intent.files].toSorted(
        compareText,
      ),
      exact: intent.content ?? ideal.exact,
      runs: intent.change ? ideal.runs : [...ideal.runs, intent.run],
    },
  };
}

/** The ranges of a prepared run are given back: it never happened. */
export function withdrawIdeal(world: World, intent: Intent): World {
  const { ideal } = world;
  return {
    ...world,
    ideal: {
      saved0: [world.saved[0]],
      saved1: intent.previous[1],
      visible: [...ideal.visible.filter((file) => !intent.files.includes(file)), ...intent.replaced].toSorted(
        compareText,
      ),
      exact: intent.content === null ? ideal.exact : intent.old,
      runs: ideal.runs.filter((run) => run !== intent.run),
    },
  };
}

/**
 * Saved offsets are written.
 *
 * @param hands How often they had been set by hand when the writer read them.
 */
export function saveOffsets(world: World, saved: Offsets, hands: number): World {
  const { ideal } = world;
  const isStale = hands < world.hands;
  if (saved[1] !== ideal.saved1 || !(isStale || ideal.saved0.includes(saved[0]))) {
    throw new Violation(`saved offsets become ${saved}, but should be ${ideal.saved0},${ideal.saved1}`);
  }
  // Whoever read between the edit and this write may still put back what the person set.
  const saved0 = sortedNumbers(isStale ? [...ideal.saved0, saved[0]] : [saved[0]]);
  return { ...world, saved, ideal: { ...ideal, saved0 } };
}

/** A person sets partition 0. */
export function setByHand(world: World, offset: number): World {
  return {
    ...world,
    saved: [offset, world.saved[1]],
    hands: world.hands + 1,
    ideal: { ...world.ideal, saved0: [offset] },
  };
}

/** Judges a world in which nobody is at work any more. */
export function checkIdeal({ ideal, ...world }: World, isExact: boolean): void {
  if (isExact && world.exact !== ideal.exact) {
    throw new Violation(`the exact file holds ${world.exact}, but should hold ${ideal.exact}`);
  }
  const lost = ideal.visible.filter((file) => !world.target.includes(file));
  const doubled = world.target.filter((file) => !ideal.visible.includes(file));
  if (!isExact && lost.length + doubled.length > 0) {
    throw new Violation(`lost: ${lost.join(' ') || 'nothing'}; too much: ${doubled.join(' ') || 'nothing'}`);
  }
  if (!ideal.saved0.includes(world.saved[0]) || world.saved[1] !== ideal.saved1) {
    throw new Violation(`saved is ${world.saved}, but should be ${ideal.saved0},${ideal.saved1}`);
  }
  const chain = ideal.runs.map((run, index) => `${run}<${ideal.runs[index - 1] ?? 0}`).toSorted(compareText);
  if (chain.join(' ') !== world.manifests.join(' ')) {
    throw new Violation(`manifests are ${world.manifests.join(' ')}, but should be ${chain.join(' ')}`);
  }
}

function sortedNumbers(numbers: readonly number[]): readonly number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
