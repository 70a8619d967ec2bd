/** What is explored of chains: by `npm test` in seconds, by `npm run model` more. */
import type { ChainCorrection, ChainRules } from './rules.ts';

/** One partition, which passes from one process to another. */
const PLAIN: ChainRules = {
  target: 'folder',
  without: null,
  messages: [2, 0],
  most: [1, 2, 2],
  processes: 2,
  owners: [1, 0],
  rebalances: 1,
  wishes: 0,
  crashes: 1,
  losses: 0,
  foldEntries: 0,
};

const LONGER = { messages: [3, 0] };
const SHARED = { messages: [2, 1], owners: [1, 2] };

/** In seconds, each. */
export const CHAINS: readonly ChainRules[] = [
  PLAIN,
  { ...PLAIN, ...LONGER, rebalances: 2 },
  { ...PLAIN, ...LONGER, foldEntries: 1 },
  { ...PLAIN, losses: 1 },
  { ...PLAIN, ...LONGER, foldEntries: 1, losses: 1, crashes: 0 },
  { ...PLAIN, messages: [1, 1], owners: [1, 2], target: 'file' },
  { ...PLAIN, messages: [1, 1], owners: [1, 2], losses: 1, crashes: 0, rebalances: 0 },
];

/** In minutes, or as far as time goes. */
export const LONG_CHAINS: readonly ChainRules[] = [
  { ...PLAIN, ...LONGER, wishes: 1 },
  { ...PLAIN, ...SHARED },
  { ...PLAIN, ...SHARED, foldEntries: 1 },
  { ...PLAIN, ...SHARED, rebalances: 2 },
  { ...PLAIN, ...SHARED, losses: 1 },
  { ...PLAIN, ...SHARED, target: 'file', rebalances: 2 },
  { ...PLAIN, ...LONGER, rebalances: 2, foldEntries: 1, losses: 1 },
  { ...PLAIN, ...LONGER, rebalances: 3, crashes: 2, processes: 3 },
  { ...PLAIN, ...LONGER, rebalances: 2, processes: 3, foldEntries: 1 },
  { ...PLAIN, ...LONGER, wishes: 1, rebalances: 2, foldEntries: 1 },
  { ...PLAIN, ...SHARED, wishes: 1 },
  { ...PLAIN, ...SHARED, processes: 3, owners: [1, 2], rebalances: 2 },
];

function without(correction: ChainCorrection, changed: Partial<ChainRules> = {}): ChainRules {
  return { ...PLAIN, ...changed, without: correction };
}

/** One for each correction: what shows soonest that it is missing. */
export const CHAIN_MUTANTS: readonly ChainRules[] = [
  without('lookAtNews'),
  without('lostExact', { messages: [1, 1], owners: [1, 2], target: 'file' }),
  without('groupFirst', LONGER),
  without('resumeFirst', { ...LONGER, rebalances: 2, crashes: 2 }),
  without('chainBeforeGroup', { ...LONGER, rebalances: 2 }),
  without('chainWins'),
  without('handWins', { ...LONGER, wishes: 1 }),
  without('createFirst'),
  without('publishOnStart'),
  without('publishNews', { messages: [1, 1], owners: [1, 2], target: 'file' }),
  without('deadFirst'),
  without('overtakenFirst'),
  without('lookAfterCreation', { ...LONGER, foldEntries: 1 }),
  without('checkpointFirst', { ...LONGER, foldEntries: 1 }),
  without('publishBeforeFold', { messages: [3, 1], owners: [1, 2], foldEntries: 1 }),
  without('syncBeforePublish', { losses: 1 }),
  without('syncBeforeGoing', { losses: 1 }),
  without('syncBeforeNext', { messages: [1, 1], owners: [1, 2], losses: 1, crashes: 0, rebalances: 0 }),
  without('syncCheckpoint', { ...LONGER, foldEntries: 1, losses: 1 }),
];

/** One line. */
export function describeChain(rules: ChainRules): string {
  const { target, processes, owners, messages, rebalances, crashes, wishes, losses, foldEntries } = rules;
  const counts = { rebalances, crashes, 'set by hand': wishes, 'power losses': losses, 'folds of': foldEntries };
  const more = Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${what} ${count}`] : []));
  const shares = messages.map((end, partition) => `${end} to ${owners[partition]}`).slice(0, messages[1] ? 2 : 1);
  return `chain ${target}, ${processes} processes, messages ${shares.join(' and ')}: ${more.join(', ')}`;
}
