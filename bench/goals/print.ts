import { RESULTS_FOLDER } from '../core/paths.ts';
import { listResults } from '../core/results.ts';
import { formatTable } from '../core/table.ts';
import { type Goal, type Judged, judgeGoals } from './goals.ts';

/** Prints every goal with what the newest results say. */
export function printGoals(): void {
  const goals = judgeGoals(newestJudged());
  console.log('\nGoals');
  const lines = goals.map((goal) => ({ goal: goal.goal, measured: goal.measured ?? '-', verdict: verdictOf(goal) }));
  console.log(formatTable(lines));
}

/** The newest results of each kind. */
function newestJudged(): Judged {
  const all = listResults(RESULTS_FOLDER).map(({ results }) => results);
  const newest = (bench: string) => all.find((results) => results.bench === bench) ?? null;
  return { peers: newest('peers'), sweeps: newest('sweeps'), stream: newest('stream') };
}

export function verdictOf({ isMet, why }: Goal): string {
  if (isMet === null) return `not measured: ${why}`;
  return isMet ? 'met' : 'not met';
}
