import type { BinaryColumn } from '../../../src/decode/columns.ts';
import { MessageColumns } from '../../../src/decode/columns.ts';
import { type DecodeOptions, RecordSet } from '../../../src/decode/recordSet.ts';

/** A decoded row as plain values, for comparing in full. */
export interface Row {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
  readonly offset: number;
  readonly timestamp: bigint;
  readonly timestampType: number;
}

export const ALL_COLUMNS = [
  'key',
  'value',
  'topic',
  'partition',
  'offset',
  'timestamp',
  'timestampType',
  'headers',
] as const;

export const OPTIONS: DecodeOptions = {
  topic: 'orders',
  partition: 3,
  startOffset: 0,
  endOffset: 1_000_000,
  isolationLevel: 'read_committed',
  checkCrcs: true,
  maxBatchBytes: 1024 * 1024,
};

/** A set of records decoded to its end. */
export async function decodeAll(
  records: Buffer,
  options: Partial<DecodeOptions> = {},
  aborted: readonly { producerId: number; firstOffset: number }[] = [],
): Promise<{ set: RecordSet; columns: MessageColumns; rows: Row[]; batches: number }> {
  const set = new RecordSet(records, aborted, { ...OPTIONS, ...options });
  // Tiny at first, so that every column has to grow.
  const columns = new MessageColumns(ALL_COLUMNS, { rows: 1, bytes: 8 });
  let batches = 0;
  while (await set.next(columns)) batches++;
  return { set, columns, rows: rowsOf(columns), batches };
}

export function rowsOf(columns: MessageColumns): Row[] {
  const { key, value, headers, timestampWords, timestampTypes } = columns;
  if (key === null || value === null || headers === null || timestampWords === null || timestampTypes === null) {
    throw new Error('rowsOf needs all columns');
  }
  const timestamps = new BigInt64Array(timestampWords.buffer);
  return Array.from({ length: columns.rows }, (_, row) => ({
    key: bytesAt(key, row),
    value: bytesAt(value, row),
    headers: Array.from(
      { length: (headers.offsets[row + 1] ?? 0) - (headers.offsets[row] ?? 0) },
      (_, i): [string, Buffer | null] => {
        const entry = (headers.offsets[row] ?? 0) + i;
        return [String(bytesAt(headers.keys, entry)), bytesAt(headers.values, entry)];
      },
    ),
    offset: columns.offsetAt(row),
    timestamp: timestamps[row] as bigint,
    timestampType: timestampTypes[row] as number,
  }));
}

function bytesAt(column: BinaryColumn, row: number): Buffer | null {
  return column.isNull(row) ? null : Buffer.from(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
}
