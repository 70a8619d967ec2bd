/** What a bench says at its end: tables on stdout, a file of results, the report. */
import { relative } from 'node:path';
import { writeReport } from '../report/write.ts';
import { describeMachine, formatMachine, ownVersions } from './machine.ts';
import { spread } from './medians.ts';
import { RESULTS_FOLDER, ROOT } from './paths.ts';
import { type Result, type Results, type Series, writeResults } from './results.ts';
import { formatTable } from './table.ts';

/** Prints the series of a bench, stores them and brings the report up to date. */
export function finishBench(
  bench: string,
  startedAt: Date,
  series: readonly Series[],
  versions: Readonly<Record<string, string>> = {},
): void {
  const made: Omit<Results, 'schemaVersion'> = {
    bench,
    startedAt: startedAt.toISOString(),
    machine: describeMachine(),
    versions: { ...ownVersions(ROOT), ...versions },
    series,
  };
  for (const one of series) printSeries(one);
  console.log(`\n${formatMachine(made.machine)}`);
  console.log(
    Object.entries(made.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join('; '),
  );
  const file = writeResults(RESULTS_FOLDER, made);
  const report = writeReport();
  console.log(`written to ${relative(process.cwd(), file)} and ${relative(process.cwd(), report)}`);
}

/** Columns that no contender has are left out. */
function printSeries({ name, input, rounds, results }: Series): void {
  const { rows, messageBytes, partitions, codec } = input;
  const shape = partitions === undefined ? '' : `, partitions ${partitions}, ${codec}`;
  const bytes = Math.round(messageBytes / rows);
  console.log(`\n${name}: ${rows.toLocaleString('en-US')} rows of ${bytes} bytes${shape}; medians, rounds: ${rounds}`);
  const own = results.find(({ isOurs }) => isOurs)?.seconds;
  console.log(formatTable(results.map((result) => lineOf(result, own))));
}

function lineOf(result: Result, own: number | undefined): Record<string, string> {
  const { contender, input, seconds, cpuSeconds, peakRssBytes, dataSeconds, outputShare, runs } = result;
  return {
    contender,
    ...(input && { rows: input.rows.toLocaleString('en-US') }),
    ...(seconds !== undefined && { 'wall s': seconds.toFixed(2) }),
    ...(seconds !== undefined && own !== undefined && { 'x ours': (seconds / own).toFixed(2) }),
    ...(dataSeconds !== undefined && { 'data s': dataSeconds.toFixed(2) }),
    'rows/s': Math.round(result.rowsPerSecond).toLocaleString('en-US'),
    'MiB/s': result.mebibytesPerSecond.toFixed(1),
    ...(outputShare !== undefined && { 'output %': String(Math.round(outputShare * 100)) }),
    ...(cpuSeconds !== undefined && { 'CPU s': cpuSeconds.toFixed(1) }),
    ...(peakRssBytes !== undefined && { 'peak RSS MiB': String(Math.round(peakRssBytes / 1024 ** 2)) }),
    ...(runs && runs.length > 1 && { 'spread %': String(Math.round(spread(runs.map((run) => run.seconds)) * 100)) }),
  };
}
