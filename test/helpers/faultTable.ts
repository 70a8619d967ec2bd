/** The tables of what the fault tests did (faultCounts.ts), printed when all of them have ended. */
import { readFileSync } from 'node:fs';
import type { FaultCounts, FaultTest } from './faultCounts.ts';

type Line = FaultTest & FaultCounts;
type Cell = string | number;

const COUNTED = ['kills', 'faults', 'rows', 'duplicates', 'lost'] as const;
const HEADINGS = ['kills survived', 'faults injected', 'rows checked', 'duplicates', 'lost'];

/** The tables as text; empty where nothing was counted. */
export function formatFaultTables(path: string): string {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  if (lines.length === 0) return '';
  return [stepTable(lines.filter(({ step }) => step !== undefined)), countTable(lines)].join('\n');
}

/** Kills at each named step, by layout and mode. */
function stepTable(lines: readonly Line[]): string {
  const columns = distinct(lines.map(columnOf));
  const steps = distinct(lines.map(({ step }) => step ?? ''));
  if (steps.length === 0) return '';
  const rows = steps.map((step): Cell[] => {
    const own = lines.filter((line) => line.step === step);
    return [
      step,
      ...columns.map(
        (column) =>
          sum(
            own.filter((line) => columnOf(line) === column),
            'kills',
          ) || '-',
      ),
    ];
  });
  const legend = columns.map((column, index) => `  ${index + 1}: ${column}\n`).join('');
  const table = formatTable(1, [['step', ...columns.map((_, index) => index + 1)], ...rows]);
  return `Kills at ${steps.length} named steps, by layout and mode\n${legend}\n${table}`;
}

function columnOf({ kind, layout = '', mode = '' }: Line): string {
  return [layout, mode, kind].filter((word) => word !== '').join(', ');
}

function countTable(lines: readonly Line[]): string {
  const groups = distinct(lines.map(({ kind, layout, mode }) => JSON.stringify([kind, layout ?? '', mode ?? ''])));
  const rows = groups.map((group): Cell[] => {
    const own = lines.filter(({ kind, layout, mode }) => JSON.stringify([kind, layout ?? '', mode ?? '']) === group);
    return [...(JSON.parse(group) as string[]), ...COUNTED.map((count) => sum(own, count))];
  });
  const total: Cell[] = ['total', '', '', ...COUNTED.map((count) => sum(lines, count))];
  return formatTable(3, [['fault', 'layout', 'mode', ...HEADINGS], ...rows, total]);
}

function sum(lines: readonly Line[], count: (typeof COUNTED)[number]): number {
  return lines.reduce((total, line) => total + (line[count] ?? 0), 0);
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((left, right) => left.localeCompare(right));
}

/** @param texts Number of columns to the left whose cells are text; numbers stand to the right. */
function formatTable(texts: number, rows: readonly (readonly Cell[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  const pad = (cell: Cell, column: number): string => {
    const width = widths[column] ?? 0;
    return column < texts ? String(cell).padEnd(width) : String(cell).padStart(width);
  };
  return rows.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`).join('');
}
