/** What a worker does with one file that is read: decode, encode, stage. */
import type { RecordBatch } from 'apache-arrow';
import type { PartitionColumn } from '../../config/partitionBy.ts';
import type { InputFormat } from '../../config/readerOptions.ts';
import type { OutputFormat } from '../../config/writerOptions.ts';
import type { BatchEncoder } from '../../encode/encoder.ts';
import { loadFileFormat } from '../../encode/fileFormat.ts';
import { type PlainError, toPlainError } from '../../errors.ts';
import { nodeFileSystem } from '../../io.ts';
import { type FileSchema, openFile } from '../../sources/files/fileReader.ts';
import type { FolderEncoder, FolderSegment } from '../../stage/folderSegments.ts';
import { type Segment, SegmentWriter, type StagedLayout } from '../../stage/segments.ts';
import { endTurn, type Turn, type TurnFlags, waitForTurn } from '../../stage/turns.ts';
import { fileRowPlace } from '../../transform/places.ts';
import { openFolders } from '../folders.ts';
import { RowTransform, type TransformPlan } from '../rowTransform.ts';
import { checkStopped, joinWorker, type SharedState, type WorkerCounters } from '../sharedState.ts';

/** One file of the source. */
export interface ConvertTask {
  /** Place in the list of files. */
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  /** Index of the staged file its rows go to; null: whichever is smallest at the moment. */
  readonly file: number | null;
  readonly turn?: Turn;
}

/** The same for every file of a run. Plain data. */
export interface ConvertSettings {
  readonly input: InputFormat;
  readonly schema: FileSchema;
  readonly transform: TransformPlan | null;
  readonly output: OutputFormat;
  /** Folders below the target. */
  readonly partitionBy: readonly PartitionColumn[];
  readonly mark: Uint8Array;
  /** Rows and bytes of a batch. */
  readonly batchRows: number;
  readonly batchBytes: number;
  /** For the reader's own buffers. */
  readonly readerBytes: number;
  readonly layout: StagedLayout;
  readonly turns: TurnFlags | null;
  readonly shared: SharedState;
}

export interface ConvertResult {
  readonly ok: true;
  readonly worker: number;
  readonly segments: readonly Segment[];
  readonly folders: readonly FolderSegment[];
  readonly rows: number;
  /** Bad rows that were left out. */
  readonly dropped: number;
  readonly encoders: readonly string[];
}

export type ConvertOutcome = ConvertResult | { readonly ok: false; readonly error: PlainError };

export class ConvertTaskRunner {
  readonly #settings: ConvertSettings;
  readonly #counters: WorkerCounters;
  readonly #transform: RowTransform;
  #encoder: BatchEncoder | undefined;
  #folders: FolderEncoder | undefined;

  constructor(settings: ConvertSettings) {
    this.#settings = settings;
    this.#transform = new RowTransform(settings.transform);
    this.#counters = joinWorker(settings.shared);
  }

  /** Never throws: an error that crosses threads loses its class, so it is returned as data. */
  async run(task: ConvertTask): Promise<ConvertOutcome> {
    const writer = new SegmentWriter(nodeFileSystem, this.#settings.layout);
    try {
      const result = await this.#convert(task, writer);
      await writer.close();
      return result;
    } catch (error) {
      // What failed first is what to say; a close after it has nothing to add.
      await writer.close().catch(() => {});
      return { ok: false, error: toPlainError(error) };
    }
  }

  async #convert(task: ConvertTask, writer: SegmentWriter): Promise<ConvertResult> {
    const { input, schema, batchRows, batchBytes, readerBytes, turns } = this.#settings;
    const written: { segments: Segment[]; folders: FolderSegment[] } = { segments: [], folders: [] };
    let rows = 0;
    let dropped = 0;
    const options = { startRow: 0, batchRows, batchBytes, memoryLimitBytes: readerBytes, schema };
    for await (const found of openFile(input, task.path, options)) {
      dropped += found.dropped;
      if (found.batch.numRows > 0) rows += await this.#write(task, found.batch, found.firstRow, writer, written);
      this.#counters.advance(found.batch.numRows, 0, 0);
      checkStopped(this.#counters);
    }
    this.#counters.advance(0, task.bytes, task.bytes);
    if (turns && task.turn) endTurn(turns, task.turn);
    const { worker } = this.#counters;
    return { ok: true, worker, ...written, rows, dropped, encoders: this.#encoder?.usedEncoders() ?? [] };
  }

  /** @returns How many rows were written. */
  async #write(
    task: ConvertTask,
    read: RecordBatch,
    firstRow: number,
    writer: SegmentWriter,
    { segments, folders }: { segments: Segment[]; folders: FolderSegment[] },
  ): Promise<number> {
    const { output, partitionBy, batchRows, mark, turns } = this.#settings;
    this.#encoder ??= (await loadFileFormat(output)).createEncoder(mark);
    const { batch, place } = await this.#transform.apply(read, fileRowPlace(task.path, firstRow));
    // A file stands for a topic of one partition, its row numbers for offsets.
    const range = {
      topic: task.path,
      partition: task.number,
      startOffset: firstRow,
      endOffset: firstRow + read.numRows,
    };
    if (partitionBy.length > 0) {
      this.#folders ??= await openFolders({ encoder: this.#encoder, mostRows: batchRows, partitionBy }, batch.schema);
      folders.push(...(await this.#folders.write(batch, range, writer, place.rowName)));
      return batch.numRows;
    }
    // Where it is not known which row another was made of, all are accounted for by the last piece.
    const rowAt = (row: number): number => (this.#transform.isNone ? firstRow + row : firstRow);
    for (let row = 0, end = 0; row < batch.numRows; row = end) {
      const encoded = await this.#encoder.encode(row === 0 ? batch : batch.slice(row, batch.numRows));
      end = row + encoded.rows;
      if (turns && task.turn) await waitForTurn(turns, task.turn, () => checkStopped(this.#counters));
      const written = await writer.write(task.file, encoded.body);
      const endOffset = end === batch.numRows ? range.endOffset : rowAt(end);
      const own = { ...range, startOffset: rowAt(row), endOffset };
      segments.push({ ...written, rows: encoded.rows, footer: encoded.footer, range: own });
    }
    return batch.numRows;
  }
}
