/** Rows of a batch by the folders they belong to. */
import { type Data, makeData, RecordBatch, Struct } from 'apache-arrow';
import { OffloadError } from '../errors.ts';
import { takeRows } from '../transform/arrow/take.ts';
import type { Partitioning } from './partitioning.ts';
import { partitionFolder } from './paths.ts';
import { type DistinctValues, distinctValues } from './values.ts';

export interface FolderRows {
  /** `a=1/b=x` */
  readonly folder: string;
  /** Without the columns that the folder tells; in the order they had. */
  readonly rows: RecordBatch;
}

/** Longest name of a file on all file systems in use. */
const MAX_NAME_BYTES = 255;

/**
 * Divides a batch. Where rows of a folder stand together they are not copied; else all rows are, once.
 *
 * @param rowName Names a row of the batch in messages.
 * @throws OffloadError ROW_INVALID for a value too long for a folder's name.
 */
export function splitBatch(
  batch: RecordBatch,
  { levels, kept, fileSchema }: Partitioning,
  rowName: (row: number) => string,
): FolderRows[] {
  const { groups, count } = groupRows(
    levels.map(({ index, of }) => distinctValues(batch.data.children[index] as Data, of)),
    batch.numRows,
  );
  const { order, starts, isSorted } = sortByGroup(groups.ids, count);
  const columns = kept.map((index) => batch.data.children[index] as Data);
  const rows = toBatch(fileSchema, isSorted ? columns : columns.map((data) => takeRows(data, order)), batch.numRows);
  return Array.from({ length: count }, (_, group) => {
    const [start, end] = [starts[group] as number, starts[group + 1] as number];
    const first = order[start] as number;
    const parts = levels.map(({ name }, level) => {
      const part = partitionFolder(name, groups.textAt(level, first));
      if (Buffer.byteLength(part) <= MAX_NAME_BYTES) return part;
      throw new OffloadError(
        'ROW_INVALID',
        `cannot make a folder for ${rowName(first)}: the name ${part.slice(0, 60)}... has ${Buffer.byteLength(part)} bytes, and file systems take ${MAX_NAME_BYTES}; divide by something shorter`,
        { context: { name: part.slice(0, 60) } },
      );
    });
    return { folder: parts.join('/'), rows: count === 1 ? rows : rows.slice(start, end) };
  });
}

interface RowGroups {
  /** Group of each row. */
  readonly ids: Int32Array;
  textAt(level: number, row: number): string | null;
}

/** One group for each combination of values that occurs, numbered as they come. */
function groupRows(values: readonly DistinctValues[], rows: number): { groups: RowGroups; count: number } {
  const [first, ...others] = values as [DistinctValues, ...DistinctValues[]];
  let ids = first.ids;
  let count = first.texts.length;
  for (const other of others) {
    const combined = new Map<number, number>();
    const next = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      const key = (ids[row] as number) * other.texts.length + (other.ids[row] as number);
      let id = combined.get(key);
      if (id === undefined) {
        id = combined.size;
        combined.set(key, id);
      }
      next[row] = id;
    }
    ids = next;
    count = combined.size;
  }
  const textAt = (level: number, row: number): string | null => {
    const { ids: own, texts } = values[level] as DistinctValues;
    return texts[own[row] as number] ?? null;
  };
  return { groups: { ids, textAt }, count };
}

/** Counting sort: rows of a group keep their order. */
function sortByGroup(ids: Int32Array, count: number): { order: Int32Array; starts: Int32Array; isSorted: boolean } {
  const starts = new Int32Array(count + 1);
  for (const id of ids) starts[id + 1] = (starts[id + 1] as number) + 1;
  for (let group = 0; group < count; group++) {
    starts[group + 1] = (starts[group + 1] as number) + (starts[group] as number);
  }
  const next = starts.slice();
  const order = new Int32Array(ids.length);
  let isSorted = true;
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    const at = next[id] as number;
    order[at] = row;
    next[id] = at + 1;
    if (at !== row) isSorted = false;
  }
  return { order, starts, isSorted };
}

function toBatch(schema: RecordBatch['schema'], children: Data[], length: number): RecordBatch {
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}
