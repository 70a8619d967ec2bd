import { OffloadError } from '../errors.ts';

/** Parts of a date or timestamp, named as Spark's functions. */
export const PARTITION_FUNCTIONS = ['date', 'year', 'month', 'day', 'hour'] as const;
export type PartitionFunction = (typeof PARTITION_FUNCTIONS)[number];

/** One level of folders below a target. */
export interface PartitionColumn {
  /** Of the folders: `NAME=value`. Null: that of the column. */
  readonly name: string | null;
  readonly column: string;
  /** Null: the values of the column itself, which is then left out of the files. */
  readonly of: PartitionFunction | null;
}

const NAME = '(?:`((?:[^`]|``)+)`|([\\p{L}_][\\p{L}\\p{N}_]*))';
const PLAIN = new RegExp(`^${NAME}(?:\\s+as\\s+${NAME})?$`, 'iu');
const CALL = new RegExp(`^(\\p{L}+)\\s*\\(\\s*${NAME}\\s*\\)(?:\\s+as\\s+${NAME})?$`, 'iu');
const ITEM = /(?:`(?:[^`]|``)*`|[^,`])+/g;

/**
 * Reads `--write-partition-by`: columns, or `date`, `year`, `month`, `day`, `hour` of one, each with `as NAME` if the
 * folders should be called otherwise.
 *
 * @throws OffloadError USAGE
 */
export function parsePartitionBy(text: string): PartitionColumn[] {
  const columns = (text.match(ITEM) ?? []).map((item) => parseItem(item.trim()));
  if (columns.length > 0) return columns;
  throw usage('--write-partition-by is empty; name columns, as --write-partition-by country,date(timestamp)');
}

function parseItem(item: string): PartitionColumn {
  const plain = PLAIN.exec(item);
  if (plain) {
    const [, quoted, word, quotedName, wordName] = plain;
    return { name: unquoted(quotedName, wordName), column: unquoted(quoted, word) ?? '', of: null };
  }
  const call = CALL.exec(item);
  if (!call) throw unknown(item, `"${item}" is no column`);
  const [, name = '', quoted, word, quotedName, wordName] = call;
  const of = PARTITION_FUNCTIONS.find((each) => each === name.toLowerCase());
  if (of === undefined) throw unknown(item, `there is no function ${name}`);
  return { name: unquoted(quotedName, wordName), column: unquoted(quoted, word) ?? '', of };
}

function unquoted(quoted: string | undefined, word: string | undefined): string | null {
  return quoted?.replaceAll('``', '`') ?? word ?? null;
}

function unknown(item: string, why: string): OffloadError {
  return usage(
    `--write-partition-by ${item}: ${why}; write a column, or ${PARTITION_FUNCTIONS.join(', ')} of one, as date(timestamp), ` +
      'with "as NAME" for another name; any other expression can be a column of --transform',
  );
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
