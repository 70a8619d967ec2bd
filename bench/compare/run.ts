import { resolve } from 'node:path';
import { formatMachine } from '../core/machine.ts';
import { RESULTS_FOLDER } from '../core/paths.ts';
import { listResults, type Results, readResults } from '../core/results.ts';
import { formatTable } from '../core/table.ts';
import { compareResults, LEAST_RATIO } from './compare.ts';

/**
 * Prints a table of the two.
 *
 * @param next File of results; null: the newest of the same bench in `bench/results`.
 * @returns True if nothing of ours has become slower.
 * @throws Error in one line: a file cannot be read, or the two have no result in common.
 */
export function runCompare(base: string, next: string | null): boolean {
  const [stored, made] = [readResults(base), next === null ? null : readResults(next)];
  const { file, results } = made && next !== null ? { file: next, results: made } : newestBeside(base, stored.bench);
  console.log(`${base}: ${describe(stored)}\n${file}: ${describe(results)}`);
  if (formatMachine(stored.machine) !== formatMachine(results.machine)) {
    console.log('The machines differ, so the ratios say little.');
  }
  const lines = compareResults(stored, results);
  const compared = lines.filter((line) => line.isOurs && line.next !== null);
  if (compared.length === 0) throw new Error(`${base} and ${file} have no result of kafkaload in common`);
  const rate = (rowsPerSecond: number): string => Math.round(rowsPerSecond).toLocaleString('en-US');
  const table = lines.map((line) => ({
    series: line.series,
    contender: line.contender,
    'rows/s before': rate(line.base),
    'rows/s now': line.next === null ? '-' : rate(line.next),
    ratio: line.next === null ? '-' : (line.next / line.base).toFixed(2),
    verdict: line.verdict,
  }));
  console.log(formatTable(table));
  const slower = lines.filter(({ verdict }) => verdict === 'slower').length;
  console.log(
    slower === 0
      ? `none of ${compared.length} results is under ${LEAST_RATIO} x of the stored one`
      : `${slower} of ${compared.length} results are under ${LEAST_RATIO} x of the stored ones`,
  );
  return slower === 0;
}

function newestBeside(base: string, bench: string): { readonly file: string; readonly results: Results } {
  const found = listResults(RESULTS_FOLDER).find(
    ({ file, results }) => results.bench === bench && resolve(file) !== resolve(base),
  );
  if (!found) throw new Error(`there are no results of ${bench} beside ${base}: run \`npm run bench -- ${bench}\``);
  return found;
}

function describe({ bench, startedAt, versions }: Results): string {
  return `${bench} of ${startedAt}, kafkaload ${versions.kafkaload}, node ${versions.node}`;
}
