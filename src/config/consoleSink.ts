import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import type { ConsoleSink } from './job.ts';
import { didYouMean } from './nearest.ts';

/** Options of the console, as Spark names them. */
export const CONSOLE_OPTIONS = [
  { name: 'numRows', default: String(DEFAULTS.consoleRows), meaning: 'Rows that are shown' },
  {
    name: 'truncate',
    default: String(DEFAULTS.consoleTruncate),
    meaning: 'Characters a cell is cut to; `false` shows all, `true` is the default',
  },
] as const;

/** @throws OffloadError USAGE naming the option and what would be right. */
export function resolveConsole(options: Readonly<Record<string, string>>): ConsoleSink {
  const names = CONSOLE_OPTIONS.map(({ name }) => name);
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(options)) {
    const name = names.find((each) => each.toLowerCase() === key.toLowerCase());
    if (name === undefined) {
      throw usage(
        `unknown option ${key} in --write-options; known for console: ${names.join(', ')}${didYouMean(key, names)}`,
      );
    }
    values.set(name, value.trim().toLowerCase());
  }
  const numRows = values.get('numRows') ?? String(DEFAULTS.consoleRows);
  if (!/^\d{1,9}$/.test(numRows) || Number(numRows) < 1) {
    throw usage(`numRows=${numRows} in --write-options is no number of rows; write 1 or more`);
  }
  return {
    kind: 'console',
    numRows: Number(numRows),
    truncate: parseTruncate(values.get('truncate') ?? 'true', 'truncate=% in --write-options'),
  };
}

/**
 * @param where What it was given as, for the message; `%` stands for the value.
 * @returns Characters a cell is cut to; null: never.
 * @throws OffloadError USAGE
 */
export function parseTruncate(text: string, where: string): number | null {
  const word = text.trim().toLowerCase();
  if (word === 'true') return DEFAULTS.consoleTruncate;
  if (word === 'false' || word === '0') return null;
  if (/^\d{1,9}$/.test(word)) return Number(word);
  throw usage(`${where.replace('%', word)} is neither true nor false nor a number of characters`);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
