import { formatSize } from '../../config/sizes.ts';
import type { OffloadReport, ReportedLoad } from '../report.ts';

const SOURCES_NAMED = 3;

/** The first line of the summary of a run that wrote to a topic. */
export function describeLoad({ rows, bytes, seconds }: OffloadReport, load: ReportedLoad): string {
  const { target, transactions, alreadyLoaded } = load;
  const from = nameSources(load.sources);
  if (alreadyLoaded) {
    return `${from}: already loaded by ${alreadyLoaded.run} at ${alreadyLoaded.at}; --reload loads them again`;
  }
  const duration = `${seconds.toFixed(1)} s`;
  if (rows === 0) return `nothing new in ${from}, no record written to topic ${target} (${duration})`;
  const rate = seconds > 0 ? `, ${Math.round(rows / seconds).toLocaleString('en-US')} rows/s` : '';
  return `${count(rows, 'row')} of ${from} to topic ${target}, ${formatSize(bytes)} in ${count(transactions, 'transaction')}, ${duration}${rate}`;
}

function nameSources(sources: readonly string[]): string {
  const named = sources.slice(0, SOURCES_NAMED).join(', ');
  return sources.length > SOURCES_NAMED ? `${named} and ${sources.length - SOURCES_NAMED} more` : named;
}

function count(value: number, noun: string): string {
  return `${value.toLocaleString('en-US')} ${noun}${value === 1 ? '' : 's'}`;
}
