import { type Data, makeData, RecordBatch, type Schema, Struct } from 'apache-arrow';
import type { ColumnField } from '../../config/sparkSchema.ts';
import { giveBack } from './byteStore.ts';
import type { ColumnBuilder } from './columns/builder.ts';
import { columnBuilder } from './columns/columnBuilder.ts';
import { toArrowSchema } from './columnTypes.ts';
import type { FileBatch, OpenFileOptions } from './fileTypes.ts';

/** Columns that grow take the memory of two batches at most: so much may be kept for the next. */
const KEPT_BATCHES = 2;

/** Collects rows column by column until they are a batch. */
export class BatchBuilder {
  readonly columns: readonly ColumnBuilder[];
  readonly #schema: Schema;
  readonly #options: OpenFileOptions;
  #firstRow: number;
  #rows = 0;
  #dropped = 0;

  /**
   * @param collected The columns as rows are appended.
   * @param given The columns of the batches; other types than in `collected` where `take` converts.
   */
  constructor(collected: readonly ColumnField[], given: readonly ColumnField[], options: OpenFileOptions) {
    this.#schema = toArrowSchema(given);
    this.columns = collected.map(({ type }) => columnBuilder(type));
    this.#options = options;
    this.#firstRow = options.startRow;
  }

  get rows(): number {
    return this.#rows;
  }

  /** How many rows this batch still takes. */
  get room(): number {
    return this.#options.batchRows - this.#rows;
  }

  get isFull(): boolean {
    if (this.#rows >= this.#options.batchRows) return true;
    let bytes = 0;
    for (const column of this.columns) bytes += column.bytes;
    return bytes >= this.#options.batchBytes;
  }

  get hasNews(): boolean {
    return this.#rows > 0 || this.#dropped > 0;
  }

  /** Told after rows were appended to every column. */
  added(rows: number): void {
    this.#rows += rows;
  }

  drop(rows: number): void {
    this.#dropped += rows;
  }

  /** @param convert Changes a column before it becomes part of the batch. */
  take(convert: (data: Data, column: number) => Data = (data) => data): FileBatch {
    const finished = this.columns.map((column) => column.finish());
    const children = finished.map(convert);
    const type = new Struct(this.#schema.fields);
    const batch = new RecordBatch(this.#schema, makeData({ type, length: this.#rows, nullCount: 0, children }));
    // What was converted may have kept some of it.
    const own = finished.filter((data, i) => data === children[i]);
    const mostBytes = KEPT_BATCHES * this.#options.batchBytes;
    const taken = {
      firstRow: this.#firstRow,
      batch,
      dropped: this.#dropped,
      giveBack: () => giveBackAll(own, mostBytes),
    };
    this.#firstRow += this.#rows;
    this.#rows = 0;
    this.#dropped = 0;
    return taken;
  }
}

function giveBackAll(columns: readonly Data[], mostBytes: number): void {
  for (const { values, children } of columns) {
    if (ArrayBuffer.isView(values) && values.buffer instanceof ArrayBuffer) giveBack(values.buffer, mostBytes);
    giveBackAll(children, mostBytes);
  }
}
