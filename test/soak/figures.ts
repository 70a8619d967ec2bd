/** What a soak did, printed at its end. */

/** Parts of a run, in their order. */
export const STRETCHES = [
  'opening',
  'finishing another run',
  'reading and staging',
  'between prepare and commit',
  'after the commit',
] as const;
export type Stretch = (typeof STRETCHES)[number];

const PREPARED = ['prepare.renamed', 'prepare.after'];
const COMMITTED = ['commit.saved', 'commit.committed'];

/** Where a run was, by the names of the steps it had passed. */
export function stretchOf(steps: readonly string[]): Stretch {
  const opened = steps.indexOf('open.cleaned');
  if (opened === -1) return steps.includes('recover.begun') ? 'finishing another run' : 'opening';
  const own = steps.slice(opened);
  if (own.some((step) => COMMITTED.includes(step))) return 'after the commit';
  return own.some((step) => PREPARED.includes(step)) ? 'between prepare and commit' : 'reading and staging';
}

export interface Figures {
  /** Processes started. */
  runs: number;
  finished: number;
  /** SIGKILL, at a random moment or at a step, by where that was. */
  readonly killed: Record<Stretch, number>;
  /** Those of them that were killed at a step. */
  killedAtStep: number;
  /** Ended with status 1: another run was alive, or it was taken over. */
  stoodBack: number;
  /** Finished by a later run. */
  recovered: number;
  /** Two processes started together. */
  pairs: number;
}

/** Of one config, by DuckDB, when all is over. */
export interface Verdict {
  readonly config: string;
  readonly rows: number;
  readonly doubled: number;
  readonly lost: number;
}

export function formatFigures(
  about: { readonly seconds: number; readonly messages: number },
  figures: Figures,
  verdicts: readonly Verdict[],
): string {
  const { runs, finished, killed, killedAtStep, stoodBack, recovered, pairs } = figures;
  const kills = STRETCHES.reduce((all, stretch) => all + killed[stretch], 0);
  const sum = (count: 'rows' | 'doubled' | 'lost'): number =>
    verdicts.reduce((all, verdict) => all + verdict[count], 0);
  const number = (value: number): string => value.toLocaleString('en-US');
  const lines = [
    `soak of ${about.seconds.toFixed(0)} s: ${number(about.messages)} messages, ${verdicts.length} configs on one topic`,
    `  runs ${number(runs)}: finished ${number(finished)}, killed ${number(kills)}, stood back ${number(stoodBack)}; started in pairs ${number(pairs)} times`,
    `  killed at a step ${number(killedAtStep)}, at random ${number(kills - killedAtStep)}: ${STRETCHES.map((stretch) => `${stretch} ${number(killed[stretch])}`).join(', ')}`,
    `  prepared by a killed run and finished by another: ${number(recovered)}`,
    ...verdicts.map(
      ({ config, rows, doubled, lost }) =>
        `  ${config.padEnd(20)} rows ${number(rows)}, doubled ${doubled}, lost ${lost}`,
    ),
    `  all: rows ${number(sum('rows'))}, doubled ${sum('doubled')}, lost ${sum('lost')}`,
  ];
  return lines.join('\n');
}
