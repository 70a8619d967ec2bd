/**
 * What a worker does with decoded messages: makes rows of them, transforms, encodes and stages those; of the bad ones it
 * stages dead letters. There is one for the life of the thread.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RecordBatch } from 'apache-arrow';
import type { StagedLetters } from '../commit/types.ts';
import type { MessageColumns } from '../decode/columns.ts';
import { type BatchEncoder, takesParts } from '../encode/encoder.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { nodeFileSystem } from '../io.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { FetchTask } from '../plan/tasks.ts';
import { startSpan, withinSpan } from '../spans.ts';
import type { FolderEncoder, FolderSegment } from '../stage/folderSegments.ts';
import type { Segment, SegmentWriter } from '../stage/segments.ts';
import { waitForTurn } from '../stage/turns.ts';
import { passStep } from '../steps.ts';
import type { OffsetRange } from '../tasks.ts';
import { withoutNul } from '../transform/arrow/nulCharacters.ts';
import { type PlacedRows, workOnGoodRows } from '../transform/badRows.ts';
import { toRows } from '../transform/toRows.ts';
import { type BadRecord, badRecordsOf } from './badRecords/badRecord.ts';
import { addBadRows, type BadRecordCounts } from './badRecords/counts.ts';
import type { DeadLetterMaker } from './badRecords/deadLetters.ts';
import type { WorkerSettings } from './fetchTypes.ts';
import { openFolders } from './folders.ts';
import { OpenRowGroup } from './openRowGroup.ts';
import { RowTransform } from './rowTransform.ts';
import { checkStopped, type WorkerCounters } from './sharedState.ts';

/** Where the rows of a task have been written so far. */
export interface WrittenRows {
  readonly segments: Segment[];
  readonly folders: FolderSegment[];
  readonly deadLetters: StagedLetters[];
}

export interface StagedCounts {
  rowsWritten: number;
  invalidUtf8: number;
  bad: BadRecordCounts;
}

export class RowStager {
  #settings: WorkerSettings;
  #counters: WorkerCounters;
  readonly #cluster: Cluster;
  readonly #columns: MessageColumns;
  readonly #transform: RowTransform;
  #encoder: BatchEncoder | undefined;
  #folders: FolderEncoder | undefined;
  /** Of the task; undefined where row groups are encoded whole. */
  #rowGroup: OpenRowGroup | undefined;
  #letters: DeadLetterMaker | undefined;
  /** Written so far: their numbers are in their names. */
  #letterFiles = 0;

  /** @param columns What the messages of all tasks are decoded to. */
  constructor(settings: WorkerSettings, counters: WorkerCounters, cluster: Cluster, columns: MessageColumns) {
    this.#settings = settings;
    this.#counters = counters;
    this.#cluster = cluster;
    this.#columns = columns;
    this.#transform = new RowTransform(settings.transform);
  }

  /** Other files, the same rows. The encoder stays where it would be made with the same. */
  turnTo(settings: WorkerSettings, counters: WorkerCounters): void {
    const { mark, output } = this.#settings;
    const isSame = Buffer.compare(settings.mark, mark) === 0 && isDeepStrictEqual(settings.output, output);
    this.#settings = settings;
    this.#counters = counters;
    if (isSame) return;
    this.#encoder = undefined;
    this.#folders = undefined;
  }

  /** Makes rows of what the columns hold, encodes and stages them. */
  async stage(
    range: OffsetRange,
    task: FetchTask,
    writer: SegmentWriter,
    written: WrittenRows,
    counts: StagedCounts,
  ): Promise<void> {
    const { fields, invalidUtf8, leavesOutBad } = this.#settings;
    const { topic, partition } = range;
    const onInvalidUtf8 = (values: number): void => {
      counts.invalidUtf8 += values;
    };
    const context = { topic, partition, invalidUtf8, onInvalidUtf8 };
    const endRows = startSpan('encode');
    const { bad, ...read } = toRows(this.#columns, fields, context, leavesOutBad);
    endRows();
    const make = async (rows: PlacedRows): Promise<void> => {
      let invalid = 0;
      const apply = () =>
        this.#make(rows, (values) => {
          invalid += values;
        });
      const made = await withinSpan('encode', apply);
      const place = { range, task, offsetAt: offsetsOf(rows, range) };
      await this.#write(made, place, writer, written);
      counts.rowsWritten += made.batch.numRows;
      if (invalid > 0) onInvalidUtf8(invalid);
    };
    if (!leavesOutBad) return make(read);
    const check = async (rows: PlacedRows): Promise<void> => {
      await this.#check(await this.#make(rows, () => {}));
    };
    const worked = await workOnGoodRows(read, { make, check, find: (rows) => this.#transform.findBadRows(rows) });
    counts.bad = addBadRows(counts.bad, [...bad, ...worked.bad]);
    const records = badRecordsOf(this.#columns, bad, read.place, worked.bad);
    if (records.length > 0) await this.#stageLetters(range, records, written);
  }

  /** Stages what came in parts. @param endOffset Behind all that it accounts for. */
  async endRowGroup(endOffset: number): Promise<void> {
    await this.#rowGroup?.finish(endOffset);
  }

  /** The end of a task, however it came. */
  endTask(): void {
    this.#rowGroup = undefined;
    if (this.#encoder && takesParts(this.#encoder)) this.#encoder.discard();
  }

  /** Which encoders have written columns so far. */
  usedEncoders(): readonly string[] {
    return this.#encoder?.usedEncoders() ?? [];
  }

  async #stageLetters(range: OffsetRange, records: readonly BadRecord[], { deadLetters }: WrittenRows): Promise<void> {
    const { deadLetters: wanted, fetch } = this.#settings;
    if (wanted === null) return;
    const [{ DeadLetterMaker }, { stageLetters }] = await Promise.all([
      import('./badRecords/deadLetters.ts'),
      import('./badRecords/stagedLetters.ts'),
    ]);
    this.#letters ??= new DeadLetterMaker(wanted.plan, this.#cluster, fetch);
    const nextName = (): string => `${this.#counters.worker}-${this.#letterFiles++}`;
    const batches = await this.#letters.encode(range, records);
    deadLetters.push(...(await stageLetters(nodeFileSystem, wanted.folder, nextName, batches)));
    passStep('stage.deadLettersWritten');
  }

  async #make({ batch, place }: PlacedRows, onInvalidUtf8: (values: number) => void): Promise<PlacedRows> {
    const { output, invalidUtf8 } = this.#settings;
    const made = await this.#transform.apply(batch, place, onInvalidUtf8);
    if (output.format !== 'pgcopy') return made;
    const policy = { policy: invalidUtf8, place: made.place, onChanged: onInvalidUtf8 };
    return { ...made, batch: withoutNul(made.batch, policy) };
  }

  /** Refuses what `#write` would, before anything is written. @throws OffloadError ROW_INVALID */
  async #check({ batch, place }: PlacedRows): Promise<void> {
    const { output, partitionBy, mark } = this.#settings;
    if (batch.numRows === 0) return;
    this.#encoder ??= (await loadFileFormat(output)).createEncoder(mark);
    if (partitionBy.length === 0) this.#encoder.check?.(batch);
    else (await this.#openFolders(this.#encoder, batch)).check(batch, place.rowName);
  }

  async #openFolders(encoder: BatchEncoder, { schema }: RecordBatch): Promise<FolderEncoder> {
    const { rowGroupRows, partitionBy } = this.#settings;
    this.#folders ??= await openFolders({ encoder, mostRows: rowGroupRows, partitionBy }, schema);
    return this.#folders;
  }

  /** Encodes rows in row groups of at most `rowGroupRows`, and stages them. */
  async #write(
    { batch, place: { rowName } }: PlacedRows,
    { range, task, offsetAt }: { range: OffsetRange; task: FetchTask; offsetAt: (row: number) => number },
    writer: SegmentWriter,
    { segments, folders }: WrittenRows,
  ): Promise<void> {
    const { rowGroupRows, output, partitionBy, mark, turns, leavesOutBad } = this.#settings;
    const { file, turn } = task;
    let endEncode = startSpan('encode');
    // Where it is not known which message a row was made of, all offsets are accounted for by the last piece.
    const offsetOfRow = this.#transform.isNone ? offsetAt : () => range.startOffset;
    this.#encoder ??= (await loadFileFormat(output)).createEncoder(mark);
    // In several pieces a bad row could show when some are written.
    const isInPieces = batch.numRows > rowGroupRows || output.format === 'pgcopy';
    if (leavesOutBad && isInPieces) this.#encoder.check?.(batch);
    if (partitionBy.length > 0) {
      const encoder = await this.#openFolders(this.#encoder, batch);
      if (leavesOutBad) encoder.check(batch, rowName);
      folders.push(...(await encoder.write(batch, range, writer, rowName)));
      endEncode();
      return;
    }
    if (this.#settings.takesParts && takesParts(this.#encoder)) {
      endEncode();
      this.#rowGroup ??= new OpenRowGroup(this.#encoder, task, writer, segments);
      return this.#rowGroup.add(batch, range);
    }
    for (let row = 0, end = 0; row < batch.numRows; row = end) {
      const most = Math.min(batch.numRows, row + rowGroupRows);
      const encoded = await this.#encoder.encode(most - row === batch.numRows ? batch : batch.slice(row, most));
      end = row + encoded.rows;
      endEncode();
      if (turns && turn) await withinSpan('turn', () => waitForTurn(turns, turn, () => checkStopped(this.#counters)));
      const written = await withinSpan('write', () => writer.write(file, encoded.body));
      endEncode = startSpan('encode');
      const startOffset = row === 0 ? range.startOffset : offsetOfRow(row);
      const endOffset = end === batch.numRows ? range.endOffset : offsetOfRow(end);
      segments.push({
        ...written,
        rows: end - row,
        footer: encoded.footer,
        range: { ...range, startOffset, endOffset },
      });
    }
    endEncode();
  }
}

/** Offsets of rows. */
function offsetsOf({ place: { origin } }: PlacedRows, { startOffset }: OffsetRange): (row: number) => number {
  return 'offsetAt' in origin ? origin.offsetAt : () => startOffset;
}
