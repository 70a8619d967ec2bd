/**
 * What a worker does with one task: fetch, decode, and hand over to what transforms, encodes and stages (rowStager.ts). Runs
 * in a worker thread; the thread keeps its connections, arenas and encoder from task to task.
 */
import { MessageColumns, roomFor } from '../decode/columns.ts';
import { DecodeKernel } from '../decode/kernel.ts';
import { RecordSet } from '../decode/recordSet.ts';
import { toPlainError } from '../errors.ts';
import { nodeFileSystem } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import type { FetchTask } from '../plan/tasks.ts';
import { KafkaRangeReader } from '../sources/kafkaRange.ts';
import { startSpan, withinSpan } from '../spans.ts';
import { SegmentWriter } from '../stage/segments.ts';
import { endTurn } from '../stage/turns.ts';
import { passStep } from '../steps.ts';
import { NO_BAD_RECORDS } from './badRecords/counts.ts';
import type { TaskOutcome, TaskResult, WorkerSettings } from './fetchTypes.ts';
import { endsRowGroup } from './rowGroupEnd.ts';
import { RowStager, type StagedCounts, type WrittenRows } from './rowStager.ts';
import { checkStopped, joinWorker, type WorkerCounters } from './sharedState.ts';

interface TaskCounts extends StagedCounts {
  rows: number;
  control: number;
  aborted: number;
}

export class FetchTaskRunner {
  #settings: WorkerSettings;
  readonly #cluster: Cluster;
  readonly #columns: MessageColumns;
  readonly #kernel = new DecodeKernel();
  readonly #stager: RowStager;
  #counters: WorkerCounters;
  /** Of the task before. */
  #bytesPerOffset: number | null = null;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#cluster = new Cluster(settings.connection);
    this.#columns = new MessageColumns(
      settings.fields.map(({ column }) => column),
      roomFor({ rows: settings.rowGroupRows, bytes: settings.partBytes }),
    );
    this.#counters = joinWorker(settings.shared);
    this.#stager = new RowStager(settings, this.#counters, this.#cluster, this.#columns);
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
      this.#stager.endTask();
    }
  }

  /** Other files, the same rows: connections, arenas and what has been learnt of the topic stay. */
  #turnTo(settings: WorkerSettings): void {
    this.#settings = settings;
    this.#counters = joinWorker(settings.shared);
    this.#stager.turnTo(settings, this.#counters);
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
      await this.#stager.stage(range, task, writer, written, counts);
      encoded = { ...encoded, rows: encoded.rows + columns.rows, bytes: encoded.bytes + columns.rawBytes };
      columns.clear();
      encodedEnd = position;
    };
    const endRowGroup = async (): Promise<void> => {
      await encode();
      await this.#stager.endRowGroup(position);
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
        checkStopped(this.#counters);
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
      encoders: this.#stager.usedEncoders(),
    };
  }
}
