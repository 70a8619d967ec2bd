import type { ColumnType } from '../../config/sparkSchema.ts';
import { OffloadError } from '../../errors.ts';
import { sqlType } from './columnTypes.ts';

const SHOWN_CHARACTERS = 60;

/** Where a row stands: its line for text formats, its number (the first is 1) for the others. */
export interface RowPlace {
  readonly file: string;
  readonly unit: 'line' | 'row';
  readonly number: number;
}

export interface BadRow extends RowPlace {
  readonly why: string;
  readonly column?: string;
  /** What to do about it. */
  readonly next?: string;
}

export function invalidRow({ file, unit, number, why, column, next }: BadRow): OffloadError {
  const where = column === undefined ? '' : `, column ${column}`;
  const message = `cannot read ${file} at ${unit} ${number}${where}: ${why}`;
  return new OffloadError('ROW_INVALID', next === undefined ? message : `${message}; ${next}`, {
    context: { path: file, [unit]: number, ...(column === undefined ? {} : { column }) },
  });
}

export const OTHER_MODES = 'mode=DROPMALFORMED leaves such rows out, PERMISSIVE makes nulls of what cannot be read';

/** A value for a message, in one line and not too long. */
export function shown(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value.length > SHOWN_CHARACTERS ? value.slice(0, SHOWN_CHARACTERS) : value)
      : plainText(value);
  const isCut = (typeof value === 'string' ? value : text).length > SHOWN_CHARACTERS;
  return isCut ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

function plainText(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  // Gives undefined for what JSON has no text for, which its types leave out.
  return (
    (JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner)) as string | undefined) ??
    String(value)
  );
}

export function isNot(value: unknown, type: ColumnType): string {
  return `${shown(value)} is no ${sqlType(type)}`;
}

export function unsuitable(message: string, context: Readonly<Record<string, string>> = {}): OffloadError {
  return new OffloadError('SOURCE_UNSUITABLE', message, { context });
}
