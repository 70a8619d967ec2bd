/** The rows of one file, or of a part of it, as chunks in the order of the file. */
import { Table } from 'apache-arrow';
import { openFile } from '../../sources/files/fileReader.ts';
import { fileRowPlace } from '../../transform/places.ts';
import { NO_BAD_RECORDS } from '../badRecords/counts.ts';
import type { RowTransform } from '../rowTransform.ts';
import type { ChunkSender } from './chunkSender.ts';
import type { FileUnit, LoadSettings, UnitEnd } from './chunks.ts';
import type { RecordMaker } from './recordMaker.ts';

export interface FileUnitContext {
  readonly source: Extract<LoadSettings['source'], { kind: 'files' }>;
  readonly limits: Pick<LoadSettings, 'chunkRows' | 'chunkBytes'>;
  readonly maker: RecordMaker;
  readonly transform: RowTransform;
  readonly sender: ChunkSender;
}

/** @throws OffloadError ROW_INVALID naming file and row; what reading the file fails with. */
export async function sendFileUnit(unit: FileUnit, context: FileUnitContext): Promise<UnitEnd> {
  const { source, limits, maker, transform, sender } = context;
  const { path, startRow } = unit;
  const endRow = unit.endRow ?? Number.MAX_SAFE_INTEGER;
  const batches = openFile(source.input, path, {
    startRow,
    ...(unit.endRow === null ? {} : { endRow }),
    batchRows: Math.min(limits.chunkRows, endRow - startRow),
    batchBytes: limits.chunkBytes,
    memoryLimitBytes: source.memoryLimitBytes,
    schema: source.schema,
    signal: sender.signal,
  });
  let next = startRow;
  let dropped = 0;
  for await (const found of batches) {
    dropped += found.dropped;
    const left = endRow - found.firstRow;
    const read = found.batch.numRows > left ? found.batch.slice(0, left) : found.batch;
    if (read.numRows > 0) {
      const { batch, place } = await transform.apply(read, fileRowPlace(path, found.firstRow));
      next = found.firstRow + read.numRows;
      // Where no row is left, what comes next moves the position as well.
      if (batch.numRows > 0) {
        await sender.send(await maker.encode(new Table([batch]), place.rowName), batch.numRows, next);
      }
    }
    // User code may have kept a part of what it was given.
    if (transform.isNone) found.giveBack();
    if (next >= endRow) break;
  }
  return {
    next,
    rows: next - startRow,
    dropped,
    control: 0,
    aborted: 0,
    lost: 0,
    invalidUtf8: 0,
    bad: NO_BAD_RECORDS,
    bytesRead: 0,
  };
}
