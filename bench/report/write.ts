import { writeFileSync } from 'node:fs';
import { REPORT_FILE, RESULTS_FOLDER } from '../core/paths.ts';
import { listResults, type Results } from '../core/results.ts';
import { judgeGoals } from '../goals/goals.ts';
import { drawPage, type Section } from './page.ts';
import { contendersSection, goalsSection, sweepsSection } from './sections.ts';

/** Writes the report anew, from the newest results of each bench. @returns Its path. */
export function writeReport(): string {
  const newest = new Map<string, Results>();
  for (const { results } of listResults(RESULTS_FOLDER)) {
    if (!newest.has(results.bench)) newest.set(results.bench, results);
  }
  writeFileSync(REPORT_FILE, drawReport(newest));
  return REPORT_FILE;
}

/** @param newest By name of the bench. @returns HTML. */
export function drawReport(newest: ReadonlyMap<string, Results>): string {
  const [peers, sweeps] = [newest.get('peers'), newest.get('sweeps')];
  const others = [...newest.values()].filter(({ bench }) => bench !== 'peers' && bench !== 'sweeps');
  const sections: Section[] = [
    goalsSection(judgeGoals({ peers: peers ?? null, sweeps: sweeps ?? null, stream: newest.get('stream') ?? null })),
    ...(peers ? peers.series.map((series) => contendersSection(peers, series)) : []),
    ...(sweeps ? [sweepsSection(sweeps)] : []),
    ...others.flatMap((results) => results.series.map((series) => contendersSection(results, series))),
  ];
  const lead = 'Made by npm run bench, from the newest results of each bench on the machine that it ran on.';
  return drawPage('kafkaload: benches', lead, sections);
}
