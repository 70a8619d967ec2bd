/** What a bench says at its end: tables on stdout, a file of results, the report. */
import { relative } from 'node:path';
import { writeReport } from '../report/write.ts';
import { describeMachine, formatMachine, ownVersions } from './machine.ts';
import { median, spread } from './medians.ts';
import { RESULTS_FOLDER, ROOT } from './paths.ts';
import { type Input, type Result, type Results, type Series, writeResults } from './results.ts';
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
  const warning = busyWarning(series, made.machine.cores);
  if (warning !== null) console.log(warning);
  const file = writeResults(RESULTS_FOLDER, made);
  const report = writeReport();
  console.log(`written to ${relative(process.cwd(), file)} and ${relative(process.cwd(), report)}`);
}

/** A bench keeps two or three processes busy itself; a load well above that is of others. */
const MOST_LOAD_A_CORE = 2.5;

/** @returns A sentence where the machine had more to do than the bench, else null. */
export function busyWarning(series: readonly Series[], cores: number): string | null {
  const loads = series.flatMap(({ results }) => results.flatMap(({ runs = [] }) => runs.map((run) => run.loadBefore)));
  const load = median(loads);
  if (!(load > MOST_LOAD_A_CORE * cores)) return null;
  return `The machine was busy with other work (load ${load.toFixed(1)} before a run, ${cores} cores): these figures say little.`;
}

/** Columns that no contender has are left out. */
function printSeries({ name, input, rounds, results }: Series): void {
  const isSweep = results.some((result) => result.input !== undefined);
  console.log(`\n${name}${isSweep ? '' : `: ${describeInput(input)}`}; medians, rounds: ${rounds}`);
  const own = isSweep ? undefined : results.find(({ isOurs }) => isOurs)?.seconds;
  console.log(formatTable(results.map((result) => lineOf(result, result.input ?? input, own))));
}

function describeInput({ rows, messageBytes, partitions, codec }: Input): string {
  const shape = partitions === undefined ? '' : `, partitions ${partitions}, ${codec}`;
  return `${rows.toLocaleString('en-US')} rows of ${Math.round(messageBytes / rows)} bytes${shape}`;
}

/** @param own Seconds of the first contender of ours; undefined where the lines are of different inputs. */
function lineOf(result: Result, input: Input, own: number | undefined): Record<string, string> {
  const { contender, seconds, cpuSeconds, peakRssBytes, dataSeconds, outputShare, latencyMs, runs } = result;
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
  return {
    contender,
    ...(result.input && { rows: whole(input.rows) }),
    ...(seconds !== undefined && { 'wall s': seconds.toFixed(2) }),
    ...(seconds !== undefined && own !== undefined && { 'x ours': (seconds / own).toFixed(2) }),
    'rows/s': whole(result.rowsPerSecond),
    'MiB/s': result.mebibytesPerSecond.toFixed(1),
    ...(dataSeconds !== undefined && {
      'data s': dataSeconds.toFixed(2),
      'data rows/s': whole(input.rows / dataSeconds),
    }),
    ...(latencyMs && { 'p50 ms': latencyMs.p50.toFixed(0), 'p99 ms': latencyMs.p99.toFixed(0) }),
    ...(outputShare !== undefined && { 'output %': whole(outputShare * 100) }),
    ...(cpuSeconds !== undefined && { 'CPU s': cpuSeconds.toFixed(1) }),
    ...(peakRssBytes !== undefined && { 'peak RSS MiB': whole(peakRssBytes / 1024 ** 2) }),
    ...(runs && runs.length > 1 && { 'spread %': whole(spread(runs.map((run) => run.seconds)) * 100) }),
  };
}
