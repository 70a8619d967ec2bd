/** Reads from a file which message each row is: its topic, partition and offset, and nothing else where the format allows. */
import type { Vector } from 'apache-arrow';
import { parseReaderOptions } from '../config/readerOptions.ts';
import type { ColumnField, ScalarType } from '../config/sparkSchema.ts';
import type { OutputFormat } from '../config/writerOptions.ts';
import { wordsToNumber } from '../decode/columns.ts';
import { FILE_READER_BYTES } from '../plan/memory.ts';
import { openFile } from '../sources/files/fileReader.ts';
import type { FileContent, OffsetRange, OriginColumn } from '../tasks.ts';

const BATCH_ROWS = 65_536;
const BATCH_BYTES = 16 * 1024 ** 2;
const TYPES = { LONG: 'BIGINT', INT: 'INTEGER', STRING: 'VARCHAR' } as const satisfies Record<string, ScalarType>;

/** How rows of a file tell what they are; where a column is missing, all rows are of one topic or partition. */
export interface Origins {
  readonly content: FileContent;
  readonly topic: OriginColumn | string;
  readonly partition: OriginColumn | number;
  readonly offset: OriginColumn;
}

/** Null: they do not tell. @param ranges All that the file holds. */
export function originsOf(content: FileContent | null, ranges: readonly OffsetRange[]): Origins | null {
  if (content === null || content.offset === null || content.output.format === 'text') return null;
  const { output } = content;
  // Readers know two ends of lines of JSON.
  if (output.format === 'json' && !['\n', '\r\n'].includes(output.lineSep)) return null;
  const topic = content.topic ?? only(ranges.map((range) => range.topic));
  const partition = content.partition ?? only(ranges.map((range) => range.partition));
  return topic === null || partition === null ? null : { content, topic, partition, offset: content.offset };
}

function only<T>(values: readonly T[]): T | null {
  const [first, ...more] = new Set(values);
  return first === undefined || more.length > 0 ? null : first;
}

/**
 * @param path Absolute.
 * @param onRow A partition or offset that is no number is -1.
 * @returns Rows of the file.
 * @throws OffloadError as `openFile`.
 */
export async function readOrigins(
  path: string,
  { content, topic, partition, offset }: Origins,
  onRow: (topic: string, partition: number, offset: number) => void,
  signal: AbortSignal,
): Promise<number> {
  const wanted = [topic, partition, offset].filter((column) => typeof column === 'object');
  const columns = wanted.map(({ name, type }): ColumnField => ({ name, type: TYPES[type] }));
  // Columns of CSV go by their position, so all of them are read.
  const isByPosition = content.output.format === 'csv';
  const input = { ...inputOf(content.output), schema: isByPosition ? null : columns };
  const limits = { startRow: 0, batchRows: BATCH_ROWS, batchBytes: BATCH_BYTES, memoryLimitBytes: FILE_READER_BYTES };
  let rows = 0;
  for await (const { batch } of openFile(input, path, { ...limits, signal })) {
    const columnOf = (column: OriginColumn): Vector | null =>
      batch.getChildAt(isByPosition ? column.index : wanted.indexOf(column));
    const topicAt = typeof topic === 'string' ? () => topic : textAt(columnOf(topic));
    const partitionAt = typeof partition === 'number' ? () => partition : numberAt(columnOf(partition));
    const offsetAt = numberAt(columnOf(offset));
    for (let row = 0; row < batch.numRows; row++) onRow(topicAt(row), partitionAt(row), offsetAt(row));
    rows += batch.numRows;
  }
  return rows;
}

/** How what was written so is read. */
function inputOf(output: OutputFormat): ReturnType<typeof parseReaderOptions> {
  const input = parseReaderOptions(output.format, {});
  switch (output.format) {
    case 'csv': {
      const { header, sep, quote, lineSep, nullValue, compression } = output;
      const { escape: escaping } = output;
      return { ...input, header, sep, quote, escape: escaping, lineSep, nullValue, compression } as typeof input;
    }
    case 'json':
    case 'msgpack':
      return { ...input, compression: output.compression } as typeof input;
    default:
      return input;
  }
}

function textAt(column: Vector | null): (row: number) => string {
  return (row) => String(column?.get(row) ?? '');
}

/** A BigInt a row would cost more than all the rest. */
function numberAt(column: Vector | null): (row: number) => number {
  const data = column?.data.length === 1 ? column.data[0] : undefined;
  const values: unknown = data?.values;
  if (data && data.nullCount === 0 && values instanceof BigInt64Array) {
    const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
    return (row) => wordsToNumber(words, row);
  }
  return (row) => {
    const value: unknown = column?.get(row);
    const number = value === null || value === undefined || value === '' ? Number.NaN : Number(value);
    return Number.isSafeInteger(number) ? number : -1;
  };
}
