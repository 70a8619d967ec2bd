/** Where rows stand, in words and as data for user code. */
import type { RowOrigin, RowPlace } from './batchTransform.ts';
import type { UserContext } from './module/userModule.ts';

/** Rows of a partition. @param offsetAt Offset of a row of the batch. */
export function messagePlace(topic: string, partition: number, offsetAt: (row: number) => number): RowPlace {
  return {
    source: `${topic}/${partition}`,
    rowName: (row) => `${topic}/${partition} at offset ${offsetAt(row)}`,
    origin: { topic, partition, offset: offsetAt(0), offsetAt },
  };
}

/** Rows of a file. @param firstRow From 0; people count from 1. */
export function fileRowPlace(file: string, firstRow: number): RowPlace {
  return {
    source: file,
    rowName: (row) => `row ${firstRow + row + 1} of ${file}`,
    origin: { file, row: firstRow },
  };
}

/** `500 rows from orders/3 at offset 12 to orders/3 at offset 511`. @param place Null: there are no rows. */
export function describeRows(place: RowPlace | null, rows: number): string {
  if (place === null || rows === 0) return 'a table without rows';
  if (rows === 1) return `the row ${place.rowName(0)}`;
  return `${rows} rows from ${place.rowName(0)} to ${place.rowName(rows - 1)}`;
}

/** @param origin Absent where there are no rows. */
export function userContext(config: string, origin: RowOrigin | undefined, isSample: boolean): UserContext {
  const isTopic = origin !== undefined && 'topic' in origin;
  return {
    config,
    topic: isTopic ? origin.topic : null,
    partition: isTopic ? origin.partition : null,
    file: origin !== undefined && 'file' in origin ? origin.file : null,
    isSample,
  };
}
