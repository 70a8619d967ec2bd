/** Tables of the README, to be compared with the code. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

const FILE = new URL('../../../README.md', import.meta.url);
export const readme = readFileSync(FILE, 'utf8');

/** Rows of the first table after a text, as cells; a `|` in a cell is written `\|`. */
export function tableAfter(text: string, from = readme): string[][] {
  const at = from.indexOf(text);
  if (at === -1) throw new Error(`README has no "${text}"`);
  const lines = from.slice(at).split('\n').slice(1);
  const start = lines.findIndex((line) => line.startsWith('| '));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The first table after a text is this one; with KAFKALOAD_UPDATE_README it is made so. */
export function expectTable(text: string, table: string): void {
  const current = readFileSync(FILE, 'utf8');
  const at = current.indexOf(text);
  if (at === -1) throw new Error(`README has no "${text}"`);
  const start = current.indexOf('\n| ', at) + 1;
  const end = current.indexOf('\n\n', start);
  if (process.env.KAFKALOAD_UPDATE_README) writeFileSync(FILE, current.slice(0, start) + table + current.slice(end));
  else expect(current.slice(start, end)).toBe(table);
}
