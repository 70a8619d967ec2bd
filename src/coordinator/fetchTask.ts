/**
 * What a worker does with one task: fetch, decode, transform, encode, stage. Runs in a worker thread; the thread keeps
 * its connections, arenas and encoder from task to task.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RecordBatch } from 'apache-arrow';
import type { StagedLetters } from '../commit/types.ts';
import type { TopicSource } from '../config/job.ts';
import type { ConnectionSettings, FetchSettings } from '../config/kafkaSettings.ts';
import type { PartitionColumn } from '../config/partitionBy.ts';
import type { StagedFormat } from '../config/writerOptions.ts';
import { MessageColumns, roomFor } from '../decode/columns.ts';
import { DecodeKernel } from '../decode/kernel.ts';
import { RecordSet } from '../decode/recordSet.ts';
import { type BatchEncoder, takesParts } from '../encode/encoder.ts';
import { loadFileFormat } from '../encode/fileFormat.ts';
import { OffloadError, type PlainError, toPlainError } from '../errors.ts';
import { nodeFileSystem } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import type { FetchTask } from '../plan/tasks.ts';
import { KafkaRangeReader } from '../sources/kafkaRange.ts';
import { startSpan, withinSpan } from '../spans.ts';
import type { FolderEncoder, FolderSegment } from '../stage/folderSegments.ts';
import { type Segment, SegmentWriter, type StagedLayout } from '../stage/segments.ts';
import { endTurn, type TurnFlags, waitForTurn } from '../stage/turns.ts';
import { passStep } from '../steps.ts';
import type { OffsetRange } from '../tasks.ts';
import { withoutNul } from '../transform/arrow/nulCharacters.ts';
import { type PlacedRows, workOnGoodRows } from '../transform/badRows.ts';
import { toRows } from '../transform/toRows.ts';
import { type BadRecord, badRecordsOf, type DeadLetterPlan } from './badRecords/badRecord.ts';
import { addBadRows, type BadRecordCounts, NO_BAD_RECORDS } from './badRecords/counts.ts';
import type { DeadLetterMaker } from './badRecords/deadLetters.ts';
import { openFolders } from './folders.ts';
import { OpenRowGroup } from './openRowGroup.ts';
import { endsRowGroup } from './rowGroupEnd.ts';
import { RowTransform, type TransformPlan } from './rowTransform.ts';
import { joinWorker, type SharedState } from './sharedState.ts';

/** The same for every task of a run, or of a micro-batch. Plain data. */
export interface WorkerSettings {
  /** Another where what follows from `mark` on is for other files; the rest is the same for the life of a thread. */
  readonly stage: number;
  readonly connection: ConnectionSettings;
  readonly fetch: FetchSettings;
  readonly failOnDataLoss: boolean;
  readonly fields: TopicSource['fields'];
  readonly invalidUtf8: TopicSource['invalidUtf8'];
  /** True: records of which no row can be made are left out and counted; false: the first of them ends the run. */
  readonly leavesOutBad: boolean;
  /** Where they go, and the folder in which they wait; null: nowhere. */
  readonly deadLetters: { readonly plan: DeadLetterPlan; readonly folder: string } | null;
  readonly transform: TransformPlan | null;
  readonly output: StagedFormat;
  /** Folders below the target. */
  readonly partitionBy: readonly PartitionColumn[];
  /** What the format puts between blocks. */
  readonly mark: Uint8Array;
  /** Most rows and message bytes of a row group. */
  readonly rowGroupRows: number;
  readonly rowGroupBytes: number;
  /** Message bytes after which columns are encoded; whether what comes of it is a part of a row group, or one that is whole. */
  readonly partBytes: number;
  readonly takesParts: boolean;
  readonly layout: StagedLayout;
  /** Which tasks have written all, where rows must lie in order; null: tasks write as they come. */
  readonly turns: TurnFlags | null;
  readonly shared: SharedState;
}

export interface TaskResult {
  readonly ok: true;
  readonly worker: number;
  readonly range: OffsetRange;
  /** When its first fetch began, in milliseconds since 1970 by the clock that does not jump: the same in all threads. */
  readonly startedAtMs: number;
  readonly segments: readonly Segment[];
  readonly folders: readonly FolderSegment[];
  /** What the task did not get to before its byte limit; null: nothing. */
  readonly rest: OffsetRange | null;
  /** Messages that were read. */
  readonly rows: number;
  /** Rows made of them: other than `rows` only where a transform makes more or fewer. */
  readonly rowsWritten: number;
  readonly control: number;
  readonly aborted: number;
  /** Offsets that retention removed while the run was reading. */
  readonly lost: number;
  /** Values that were not UTF-8 and were replaced or made null. */
  readonly invalidUtf8: number;
  /** Of the messages that were read, those without a row. */
  readonly bad: BadRecordCounts;
  readonly deadLetters: readonly StagedLetters[];
  /** Which encoders have written columns in this thread so far. */
  readonly encoders: readonly string[];
}

export type TaskOutcome = TaskResult | { readonly ok: false; readonly error: PlainError };

/** Where the rows of a task have been written so far. */
interface WrittenRows {
  readonly segments: Segment[];
  readonly folders: FolderSegment[];
  readonly deadLetters: StagedLetters[];
}

interface TaskCounts {
  rows: number;
  rowsWritten: number;
  control: number;
  aborted: number;
  invalidUtf8: number;
  bad: BadRecordCounts;
}

export class FetchTaskRunner {
  #settings: WorkerSettings;
  readonly #cluster: Cluster;
  readonly #columns: MessageColumns;
  readonly #kernel = new DecodeKernel();
  readonly #transform: RowTransform;
  #encoder: BatchEncoder | undefined;
  #folders: FolderEncoder | undefined;
  /** Of the task; undefined where row groups are encoded whole. */
  #rowGroup: OpenRowGroup | undefined;
  #letters: DeadLetterMaker | undefined;
  /** Written so far: their numbers are in their names. */
  #letterFiles = 0;
  #counters: ReturnType<typeof joinWorker>;
  /** Of the task before. */
  #bytesPerOffset: number | null = null;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#cluster = new Cluster(settings.connection);
    this.#columns = new MessageColumns(
      settings.fields.map(({ column }) => column),
      roomFor({ rows: settings.rowGroupRows, bytes: settings.partBytes }),
    );
    this.#transform = new RowTransform(settings.transform);
    this.#counters = joinWorker(settings.shared);
  }

  /** Never throws: an error that crosses threads loses its class, so it is returned as data. */
  async run(task: FetchTask, settings: WorkerSettings): Promise<TaskOutcome> {
    if (settings.stage !== this.#settings.stage) this.#turnTo(settings);
    const writer = new SegmentWriter(nodeFileSystem, this.#settings.layout);
    try {
      const result = await this.#read(task, writer);
      await writer.close();
      return result;
    } catch (error) {
      // What failed first is what to say; a close after it has nothing to add.
      await writer.close().catch(() => {});
      return { ok: false, error: toPlainError(error) };
    } finally {
      this.#columns.clear();
      this.#rowGroup = undefined;
      if (this.#encoder && takesParts(this.#encoder)) this.#encoder.discard();
    }
  }

  /** Other files, the same rows: connections, arenas and what has been learnt of the topic stay. */
  #turnTo(settings: WorkerSettings): void {
    const { mark, output } = this.#settings;
    const isSame = Buffer.compare(settings.mark, mark) === 0 && isDeepStrictEqual(settings.output, output);
    this.#settings = settings;
    this.#counters = joinWorker(settings.shared);
    if (isSame) return;
    this.#encoder = undefined;
    this.#folders = undefined;
  }

  async #read(task: FetchTask, writer: SegmentWriter): Promise<TaskResult> {
    const {
      fetch,
      failOnDataLoss,
      rowGroupBytes,
      rowGroupRows,
      partBytes,
      takesParts: inParts,
      turns,
    } = this.#settings;
    const limits = { rows: rowGroupRows, bytes: rowGroupBytes };
    const { topic, partition, startOffset, endOffset } = task.range;
    const bytesPerOffset = this.#bytesPerOffset;
    const reader = new KafkaRangeReader(this.#cluster, task.range, { fetch, failOnDataLoss, bytesPerOffset });
    const startedAtMs = performance.timeOrigin + performance.now();
    const columns = this.#columns;
    const written: WrittenRows = { segments: [], folders: [], deadLetters: [] };
    const counts: TaskCounts = { rows: 0, rowsWritten: 0, control: 0, aborted: 0, invalidUtf8: 0, bad: NO_BAD_RECORDS };
    let position = startOffset;
    let encodedEnd = startOffset;
    /** What of the row group is encoded. */
    let encoded = { rows: 0, bytes: 0, startOffset };
    let fetchedBytes = 0;

    const encode = async (): Promise<void> => {
      if (columns.rows === 0) return;
      const range = { topic, partition, startOffset: encodedEnd, endOffset: position };
      await this.#encode(range, task, writer, written, counts);
      encoded = { ...encoded, rows: encoded.rows + columns.rows, bytes: encoded.bytes + columns.rawBytes };
      columns.clear();
      encodedEnd = position;
    };
    const endRowGroup = async (): Promise<void> => {
      await encode();
      await this.#rowGroup?.finish(position);
      encoded = { rows: 0, bytes: 0, startOffset: position };
    };

    const moveTo = (offset: number, rows: number, bytes: number): void => {
      const next = Math.max(position, offset);
      this.#counters.advance(rows, bytes, next - position);
      position = next;
    };

    for (;;) {
      const fetched = await withinSpan('fetch', () => reader.next());
      if (fetched === null) break;
      let endDecode = startSpan('decode');
      fetchedBytes += fetched.records.length;
      const set = new RecordSet(fetched.records, fetched.aborted, {
        topic,
        partition,
        startOffset: fetched.startOffset,
        endOffset,
        isolationLevel: fetch.isolationLevel,
        checkCrcs: fetch.checkCrcs,
        maxBatchBytes: fetch.maxBatchBytes,
        kernel: this.#kernel,
      });
      for (let size = await set.peek(); size !== null; size = await set.peek()) {
        const held = {
          rows: encoded.rows + columns.rows,
          bytes: encoded.bytes + columns.rawBytes,
          offsets: position - encoded.startOffset,
        };
        const isFull = columns.rawBytes + size.bytes > partBytes || !columns.hasRoomFor(size.bytes, size.rows);
        const isEnd = endsRowGroup(held, size, endOffset - position, limits);
        if (isEnd || (isFull && columns.rows > 0)) {
          endDecode();
          await (isEnd || !inParts ? endRowGroup() : encode());
          endDecode = startSpan('decode');
        }
        const before = { rows: columns.rows, bytes: columns.rawBytes };
        await set.next(columns);
        counts.rows += columns.rows - before.rows;
        moveTo(set.nextOffset, columns.rows - before.rows, columns.rawBytes - before.bytes);
        this.#checkStopped();
      }
      endDecode();
      moveTo(set.nextOffset, 0, 0);
      counts.control += set.counts.control;
      counts.aborted += set.counts.aborted;
      if (fetchedBytes >= task.maxBytes && position < endOffset) break;
    }
    this.#bytesPerOffset = reader.bytesPerOffset;
    const isWhole = fetchedBytes < task.maxBytes || position >= endOffset;
    if (isWhole) moveTo(endOffset, 0, 0);
    await endRowGroup();
    if (isWhole && turns && task.turn) endTurn(turns, task.turn);
    passStep('stage.taskWritten');
    return {
      ok: true,
      worker: this.#counters.worker,
      range: { ...task.range, endOffset: position },
      startedAtMs,
      ...written,
      rest: isWhole ? null : { ...task.range, startOffset: position },
      ...counts,
      lost: reader.lostOffsets,
      encoders: this.#encoder?.usedEncoders() ?? [],
    };
  }

  #checkStopped(): void {
    if (this.#counters.isStopped()) throw new OffloadError('INTERNAL', 'the run is stopping');
  }

  /** Makes rows of what the columns hold, encodes and stages them. */
  async #encode(
    range: OffsetRange,
    task: FetchTask,
    writer: SegmentWriter,
    written: WrittenRows,
    counts: TaskCounts,
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
      if (turns && turn) await withinSpan('turn', () => waitForTurn(turns, turn, () => this.#checkStopped()));
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
