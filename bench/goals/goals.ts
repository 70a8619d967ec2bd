/** What the command is measured by: ratios of one run on one machine, and bounds of its own memory and CPU time. */

import { spread } from '../core/medians.ts';
import { CONTENDERS, SERIES, SMALL_MESSAGES, STANDARD_MESSAGES, STREAM_SERIES } from '../core/names.ts';
import type { Result, Results, Series } from '../core/results.ts';

export interface Goal {
  readonly goal: string;
  /** As text with its unit; null: there is no result to take it from. */
  readonly measured: string | null;
  /** Null: not measured, or not as the goal asks. */
  readonly isMet: boolean | null;
  /** Why it is neither met nor missed. */
  readonly why?: string;
}

/** What there is to judge by; each is the newest of its kind, or null. */
export interface Judged {
  readonly peers: Results | null;
  readonly sweeps: Results | null;
  readonly stream: Results | null;
}

/** A figure and what it must not pass. */
interface Figure {
  readonly value: number;
  readonly bound: number;
  /** True: at least the bound; false: at most. */
  readonly isLeast: boolean;
  readonly unit: string;
}

interface Rule {
  readonly goal: string;
  readonly from: keyof Judged;
  readonly series: string;
  /** Rows below which the figure says nothing about the goal. */
  readonly leastRows: number;
  /** Null: a contender is missing. */
  readonly figure: (series: Series, all: Results) => Figure | null;
}

const MEBIBYTE = 1024 ** 2;
/** Some seconds of it, at the rate that the goal asks for. */
const BACKLOG_MESSAGES = 3_000_000;
const { own, ownOneFile, kcat, scripts, spark } = CONTENDERS;

const RULES: readonly Rule[] = [
  timesOf('bench topic: at most 1.0 x the time of kcat, to nowhere', SERIES.standard, kcat, { most: 1 }),
  timesOf('bench topic: at least 10 x faster than Spark', SERIES.standard, spark, { least: 10 }),
  timesOf('bench topic: at least 3 x faster than two Python processes', SERIES.standard, scripts, { least: 3 }),
  timesOf('zstd to zstd: at least 6 x faster than Spark', SERIES.zstd, spark, { least: 6 }),
  timesOf('500,000 in one partition: at least 15 x faster than Spark', SERIES.small, spark, { least: 15 }),
  timesOf('500,000 in one partition: at most 1.5 x the time of kcat', SERIES.small, kcat, { most: 1.5 }),
  peersRule('one file: at most 1.10 x the time of the folder', SERIES.standard, (series) => {
    const [folder, one] = [find(series, own)?.seconds, find(series, ownOneFile)?.seconds];
    return folder === undefined || one === undefined ? null : atMost(one / folder, 1.1, 'x');
  }),
  peersRule('peak RSS at defaults, two workers: at most 450 MiB', SERIES.standard, (series, { machine }) => {
    const peak = find(series, own)?.peakRssBytes;
    return peak === undefined || machine.cores !== 2 ? null : atMost(peak / MEBIBYTE, 450, 'MiB');
  }),
  sweepRule('peak RSS within 10% from 0.5 M to 16 M messages', 'messages', (series) =>
    within(series, 10, ({ peakRssBytes }) => peakRssBytes),
  ),
  sweepRule('peak RSS with --max-memory 128MiB: at most 330 MiB', 'memory', (series) => {
    const peak = find(series, '128MiB')?.peakRssBytes;
    return peak === undefined ? null : atMost(peak / MEBIBYTE, 330, 'MiB');
  }),
  sweepRule('rows/s after start-up within 15% from 0.5 M to 16 M messages', 'messages', (series) =>
    within(series, 15, (result) => dataRate(result, series)),
  ),
  sweepRule('rows/s after start-up within 25% from 1 to 64 partitions', 'partitions', (series) =>
    within(series, 25, (result) => dataRate(result, series)),
  ),
  sweepRule('two workers: at least 1.8 x one worker (zstd to zstd)', 'workers-zstd', (series) => {
    const [one, two] = ['1', '2'].map((workers) => dataRate(find(series, workers), series));
    return one === undefined || two === undefined ? null : atLeast(two / one, 1.8, 'x');
  }),
  peersRule('CPU time: at most 2.3 s for a million rows', SERIES.standard, (series) => {
    const seconds = find(series, own)?.cpuSeconds;
    return seconds === undefined ? null : atMost((seconds / series.input.rows) * 1e6, 2.3, 's');
  }),
  latencyRule(
    'stream to Parquet every second, 20,000 messages/s: p99 to a readable file under 1.5 s',
    'files',
    'p99',
    1_500,
  ),
  latencyRule('continuous to a topic, 5,000 messages/s: p50 to a reader under 10 ms', 'flow', 'p50', 10),
  latencyRule('continuous to a topic, 5,000 messages/s: p99 to a reader under 50 ms', 'flow', 'p99', 50),
  {
    goal: 'stream to Parquet every 10 s: at least 300,000 messages/s',
    ...{ from: 'stream', series: STREAM_SERIES.backlog, leastRows: BACKLOG_MESSAGES },
    figure: ({ results: [result] }) => (result ? atLeast(result.rowsPerSecond, 300_000, 'rows/s') : null),
  },
];

/** @returns All goals, in a fixed order, whether there is something to judge them by or not. */
export function judgeGoals(judged: Judged): Goal[] {
  return RULES.map((rule): Goal => {
    const results = judged[rule.from];
    const series = results?.series.find(({ name }) => name === rule.series);
    const missing = { goal: rule.goal, measured: null, isMet: null };
    if (!results || !series) return { ...missing, why: `bench -- ${rule.from} has not run with it` };
    const figure = rule.figure(series, results);
    if (figure === null) return { ...missing, why: 'a contender is missing, or the machine is another than asked for' };
    const measured = `${figure.value.toFixed(['MiB', 'ms', 'rows/s'].includes(figure.unit) ? 0 : 2)} ${figure.unit}`;
    const rows = Math.max(...series.results.map(({ input = series.input }) => input.rows));
    if (rows < rule.leastRows) {
      const [had, asked] = [rows, rule.leastRows].map((count) => count.toLocaleString('en-US'));
      return { goal: rule.goal, measured, isMet: null, why: `${had} messages, and the goal is set for ${asked}` };
    }
    const { value, bound, isLeast } = figure;
    return { goal: rule.goal, measured, isMet: isLeast ? value >= bound : value <= bound };
  });
}

/** Our time beside that of another: `most` bounds ours as a multiple of theirs, `least` theirs as a multiple of ours. */
function timesOf(goal: string, name: string, other: string, bound: { most: number } | { least: number }): Rule {
  return peersRule(goal, name, (series) => {
    const [ours, theirs] = [find(series, own)?.seconds, find(series, other)?.seconds];
    if (ours === undefined || theirs === undefined) return null;
    return 'most' in bound ? atMost(ours / theirs, bound.most, 'x') : atLeast(theirs / ours, bound.least, 'x');
  });
}

function latencyRule(goal: string, series: keyof typeof STREAM_SERIES, of: 'p50' | 'p99', bound: number): Rule {
  const figure: Rule['figure'] = ({ results: [result] }) =>
    result?.latencyMs ? atMost(result.latencyMs[of], bound, 'ms') : null;
  return { goal, from: 'stream', series: STREAM_SERIES[series], leastRows: 50_000, figure };
}

function peersRule(goal: string, series: string, figure: Rule['figure']): Rule {
  const leastRows = series === SERIES.small ? SMALL_MESSAGES : STANDARD_MESSAGES;
  return { goal, from: 'peers', series, leastRows, figure };
}

function sweepRule(goal: string, series: string, figure: Rule['figure']): Rule {
  const factors: Readonly<Record<string, number>> = { messages: 4, partitions: 0.5 };
  return { goal, from: 'sweeps', series, leastRows: STANDARD_MESSAGES * (factors[series] ?? 1), figure };
}

function find({ results }: Series, contender: string): Result | undefined {
  return results.find((result) => result.contender === contender);
}

/** Rows/s from the first fetch to the last commit. */
export function dataRate(result: Result | undefined, series: Series): number | undefined {
  if (result?.dataSeconds === undefined) return undefined;
  return (result.input ?? series.input).rows / result.dataSeconds;
}

/** The lowest below the highest, in percent. */
function within({ results }: Series, bound: number, pick: (result: Result) => number | undefined): Figure | null {
  const values = results.map(pick).filter((value) => value !== undefined);
  return values.length < 2 ? null : atMost(spread(values) * 100, bound, '%');
}

function atMost(value: number, bound: number, unit: string): Figure {
  return { value, bound, unit, isLeast: false };
}

function atLeast(value: number, bound: number, unit: string): Figure {
  return { value, bound, unit, isLeast: true };
}
