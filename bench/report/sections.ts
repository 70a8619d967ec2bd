/** Which charts the report has, made of results. */
import { formatMachine } from '../core/machine.ts';
import { CONTENDERS } from '../core/names.ts';
import type { MemorySample, Result, Results, Series } from '../core/results.ts';
import { dataRate, type Goal } from '../goals/goals.ts';
import { verdictOf } from '../goals/print.ts';
import type { Trace } from '../trace/spans.ts';
import { drawBarChart } from './barChart.ts';
import { drawLineChart, type Line } from './lineChart.ts';
import { drawTable, type Figure, type Section } from './page.ts';
import { drawTimeline } from './timeline.ts';

const MEBIBYTE = 1024 ** 2;

export function goalsSection(goals: readonly Goal[]): Section {
  const rows = goals.map((goal) => {
    const kind = goal.isMet === null ? 'open words' : goal.isMet ? 'met words' : 'missed words';
    return { cells: [goal.goal, goal.measured ?? '-', { text: verdictOf(goal), kind }] };
  });
  const body = drawTable(['Goal', 'Measured', { text: 'Verdict', kind: 'words' }], rows);
  const source = 'Ratios are of one run on one machine; from the newest results of peers and of sweeps.';
  return { title: 'Goals', source, figures: [{ title: 'Measured, and met or not', body, isWide: true }] };
}

/** Contenders of one input, next to each other. */
export function contendersSection(results: Results, series: Series): Section {
  const { input, name } = series;
  const bytes = Math.round(input.messageBytes / input.rows);
  const shape = input.partitions === undefined ? '' : `, partitions: ${input.partitions}, ${input.codec}`;
  const figures: Figure[] = [rateFigure(series)];
  const lines = series.results.flatMap(({ contender, memory }): Line[] =>
    memory ? [{ label: contender, ...colourOf(contender), points: pointsOf(memory) }] : [],
  );
  if (lines.length > 0) figures.push(memoryFigure(lines));
  figures.push(tableFigure(series));
  if (series.trace) figures.unshift(traceFigure(series.trace, results.machine.cores));
  return {
    title: `${results.bench}: ${name}`,
    source: `${input.rows.toLocaleString('en-US')} rows of ${bytes} bytes${shape}; medians of ${series.rounds}. ${sourceOf(results)}`,
    figures,
  };
}

/** Charts of whatever sweeps there are. */
export function sweepsSection(results: Results): Section {
  const figures = results.series.flatMap((series) => SWEEP_FIGURES[series.name]?.(series) ?? []);
  return {
    title: 'How kafkaload alone behaves',
    source: `Rows/s are from the first fetch to the last commit, start-up left out; medians. ${sourceOf(results)}`,
    figures,
  };
}

const SWEEP_FIGURES: Readonly<Record<string, (series: Series) => Figure[]>> = {
  size: (series) => [
    sweepLine('By message size: rows', series, 'bytes of a value', 'rows/s', (result) => dataRate(result, series)),
    sweepLine('By message size: bytes', series, 'bytes of a value', 'MiB/s of keys and values', (result) =>
      mebibytesRate(result, series),
    ),
  ],
  partitions: (series) => [
    sweepLine('By partitions', series, 'partitions', 'rows/s', (result) => dataRate(result, series)),
  ],
  codec: (series) => [sweepBars('By codec of the topic', series)],
  messages: (series) => [
    sweepLine('Growth: rows/s', series, 'messages in the topic', 'rows/s', (result) => dataRate(result, series)),
    sweepLine('Growth: memory', series, 'messages in the topic', 'peak RSS, MiB', peakMebibytes),
  ],
  workers: (series) => [sweepBars('By workers: lz4 to Parquet snappy', series, 'workers: ')],
  'workers-zstd': (series) => [sweepBars('By workers: zstd to Parquet zstd', series, 'workers: ')],
  memory: (series) => {
    const lines = series.results.map(({ contender, memory = [] }): Line => {
      return {
        label: `--max-memory ${contender}`,
        points: pointsOf(memory),
      };
    });
    return [memoryFigure(lines), sweepBars('By --max-memory', series)];
  },
};

/** A contender has the same colour in every chart. */
function colourOf(contender: string): { colour?: number } {
  const colour = Object.values<string>(CONTENDERS).indexOf(contender);
  return colour === -1 ? {} : { colour };
}

function pointsOf(memory: readonly MemorySample[]): Line['points'] {
  return memory.map(([seconds, bytes]) => [seconds, bytes / MEBIBYTE]);
}

function rateFigure({ results }: Series): Figure {
  const bars = results.map(({ contender, isOurs, rowsPerSecond }) => {
    return { label: contender, value: rowsPerSecond, isOurs };
  });
  const title = 'Rows by contender, start-up included';
  return { title, body: drawBarChart({ title, axis: 'rows/s', bars }) };
}

function tableFigure({ results }: Series): Figure {
  const own = results.find(({ isOurs }) => isOurs)?.seconds;
  const rows = results.map((result) => {
    const { contender, isOurs, seconds, cpuSeconds, peakRssBytes } = result;
    const factor = seconds === undefined || own === undefined ? '-' : (seconds / own).toFixed(2);
    const cells = [
      contender,
      seconds?.toFixed(2) ?? '-',
      factor,
      Math.round(result.rowsPerSecond).toLocaleString('en-US'),
      result.mebibytesPerSecond.toFixed(0),
      cpuSeconds?.toFixed(1) ?? '-',
      peakRssBytes === undefined ? '-' : Math.round(peakRssBytes / MEBIBYTE).toLocaleString('en-US'),
    ];
    return { cells, isOurs };
  });
  const head = ['Contender', 'wall s', 'x ours', 'rows/s', 'MiB/s', 'CPU s', 'peak RSS MiB'];
  return { title: 'Figures', body: drawTable(head, rows), isWide: true };
}

function traceFigure(trace: Trace, cores: number): Figure {
  const title = 'What each thread does, and how busy the cores are with all that runs on them';
  return { title, body: drawTimeline(title, trace, cores), isWide: true };
}

function memoryFigure(lines: readonly Line[]): Figure {
  const title = 'Memory over time';
  const axes = { xAxis: 'seconds since the start', yAxis: 'resident memory, MiB', xScale: 'linear' as const };
  return { title, body: drawLineChart({ title, ...axes, lines }) };
}

function sweepLine(
  title: string,
  series: Series,
  xAxis: string,
  yAxis: string,
  pick: (result: Result) => number | undefined,
): Figure {
  const points = series.results.flatMap((result) => {
    const value = pick(result);
    return value === undefined ? [] : [[Number(result.contender), value] as const];
  });
  const lines = [{ label: 'kafkaload', points }];
  return { title, body: drawLineChart({ title, xAxis, yAxis, xScale: 'log', lines }) };
}

function sweepBars(title: string, series: Series, before = ''): Figure {
  const bars = series.results.map((result) => {
    return { label: `${before}${result.contender}`, value: dataRate(result, series) ?? 0, isOurs: true };
  });
  return { title, body: drawBarChart({ title, axis: 'rows/s', bars }) };
}

function mebibytesRate(result: Result, series: Series): number | undefined {
  const input = result.input ?? series.input;
  return result.dataSeconds === undefined ? undefined : input.messageBytes / MEBIBYTE / result.dataSeconds;
}

function peakMebibytes({ peakRssBytes }: Result): number | undefined {
  return peakRssBytes === undefined ? undefined : peakRssBytes / MEBIBYTE;
}

function sourceOf({ startedAt, machine, versions }: Results): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${formatMachine(machine)}; ${programs.join('; ')}.`;
}
