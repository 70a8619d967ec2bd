/** The row group of a task to which rows come in parts: encoded at once, staged when it is whole. */
import type { RecordBatch } from 'apache-arrow';
import type { PartsEncoder } from '../encode/encoder.ts';
import type { FetchTask } from '../plan/tasks.ts';
import { withinSpan } from '../spans.ts';
import type { Segment, SegmentWriter } from '../stage/segments.ts';
import type { OffsetRange } from '../tasks.ts';

export class OpenRowGroup {
  readonly #encoder: PartsEncoder;
  readonly #task: FetchTask;
  readonly #writer: SegmentWriter;
  readonly #segments: Segment[];
  #startOffset: number;
  /** That are encoded and not staged. */
  #rows = 0;

  /** @param segments What is staged is added to. */
  constructor(encoder: PartsEncoder, task: FetchTask, writer: SegmentWriter, segments: Segment[]) {
    this.#encoder = encoder;
    this.#task = task;
    this.#writer = writer;
    this.#segments = segments;
    this.#startOffset = task.range.startOffset;
  }

  /** @param range Of the rows, gaps included: behind those before. */
  async add(batch: RecordBatch, range: OffsetRange): Promise<void> {
    if (batch.numRows === 0) return;
    const add = () => withinSpan('encode', () => this.#encoder.add(batch));
    if (!(await add())) {
      await this.finish(range.startOffset);
      await add();
    }
    this.#rows += batch.numRows;
  }

  /** Stages what is there. @param endOffset Behind all that it accounts for. */
  async finish(endOffset: number): Promise<void> {
    if (this.#rows === 0) return;
    const { range, file } = this.#task;
    const { body, footer, rows } = await withinSpan('encode', () => this.#encoder.finish());
    const written = await withinSpan('write', () => this.#writer.write(file, body));
    this.#segments.push({ ...written, rows, footer, range: { ...range, startOffset: this.#startOffset, endOffset } });
    this.#startOffset = endOffset;
    this.#rows = 0;
  }
}
