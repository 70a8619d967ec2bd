/** What a soak did, printed at its end. */

export interface Figures {
  /** Processes started. */
  runs: number;
  finished: number;
  /** SIGKILL, at a random moment. */
  killed: number;
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
  const { runs, finished, killed, stoodBack, recovered, pairs } = figures;
  const sum = (count: 'rows' | 'doubled' | 'lost'): number =>
    verdicts.reduce((all, verdict) => all + verdict[count], 0);
  const number = (value: number): string => value.toLocaleString('en-US');
  const lines = [
    `soak of ${about.seconds.toFixed(0)} s: ${number(about.messages)} messages, ${verdicts.length} configs on one topic`,
    `  runs ${number(runs)}: finished ${number(finished)}, killed ${number(killed)}, stood back ${number(stoodBack)}; started in pairs ${number(pairs)} times`,
    `  prepared by a killed run and finished by another: ${number(recovered)}`,
    ...verdicts.map(
      ({ config, rows, doubled, lost }) =>
        `  ${config.padEnd(20)} rows ${number(rows)}, doubled ${doubled}, lost ${lost}`,
    ),
    `  all: rows ${number(sum('rows'))}, doubled ${sum('doubled')}, lost ${sum('lost')}`,
  ];
  return lines.join('\n');
}
