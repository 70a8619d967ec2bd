import { OffloadError } from '../../errors.ts';

/** A file that was read, or a text in its place. */
export interface Source {
  /** The file as the user knows it, for messages. */
  readonly name: string;
  readonly format: 'HOCON' | 'properties';
  readonly text: string;
}

/** Where something stands. */
export interface Place {
  readonly source: Source;
  /** Index of its first character in the text. */
  readonly offset: number;
}

/** Bounds on what a file may ask for, so that no text can hang or overflow the reader. */
export const LIMITS = {
  /** Objects and lists inside each other, in one file, over includes and after substitution. */
  depth: 200,
  /** Files read for one configuration. */
  files: 500,
  /** Characters of all files together. */
  characters: 2 * 1024 ** 2,
  /** Values in all files together; a file counts as often as it is included. */
  nodes: 500_000,
  /** Values and characters of the configuration with all substitutions replaced. */
  weight: 16 * 1024 ** 2,
  /** Looks at a value or a key while substitutions are resolved. */
  steps: 2_000_000,
} as const;

/**
 * One line with file, line and column.
 *
 * @param why Says what is wrong there; must not quote a value, which may be a secret.
 */
export function invalidAt({ source, offset }: Place, why: string): OffloadError {
  const before = source.text.slice(0, offset);
  const line = before.split('\n').length;
  const column = offset - before.lastIndexOf('\n');
  return new OffloadError(
    'CONFIG_INVALID',
    `${source.name} is not valid ${source.format} at line ${line}, column ${column}: ${why}`,
    { context: { file: source.name, line, column } },
  );
}
