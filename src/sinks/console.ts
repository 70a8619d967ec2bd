/** Rows for people: the first rows of Arrow batches as a table of text. */
import { type Data, type RecordBatch, Type } from 'apache-arrow';
import { offsetsOf, presenceOf } from '../encode/arrow/access.ts';
import { bindJson } from '../encode/json/jsonRows.ts';
import { ByteWriter } from '../encode/output/byteWriter.ts';
import { printable } from '../printable.ts';

/** Every cell as text. */
export interface RowTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const NULL = 'NULL';
const JSON_SETTINGS = { dateFormat: null, timestampFormat: null, ignoreNullFields: false };
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Keeps the first rows it is given, and forgets the batches. */
export class TableCollector {
  readonly #numRows: number;
  #columns: string[] = [];
  readonly #rows: string[][] = [];

  constructor(numRows: number) {
    this.#numRows = numRows;
  }

  get missing(): number {
    return this.#numRows - this.#rows.length;
  }

  get table(): RowTable {
    return { columns: this.#columns, rows: this.#rows };
  }

  /** @throws OffloadError TARGET_UNSUITABLE for a column of unions. */
  add(batch: RecordBatch): void {
    this.#columns = batch.schema.fields.map(({ name }) => name);
    const cells = batch.data.children.map((data, index) => cellText(data, this.#columns[index] ?? ''));
    const end = Math.min(batch.numRows, this.missing);
    for (let row = 0; row < end; row++) this.#rows.push(cells.map((cell) => cell(row)));
  }
}

/** Text as it is, bytes as text where they are UTF-8 and in hexadecimal where not, everything else as in JSON. */
function cellText(data: Data, column: string): (row: number) => string {
  const isPresent = presenceOf(data);
  const { typeId } = data.type;
  if (typeId === Type.Binary || typeId === Type.LargeBinary) {
    const offsets = offsetsOf(data);
    return (row) => {
      if (isPresent && !isPresent(row)) return NULL;
      return bytesText((data.values as Uint8Array).subarray(offsets[row], offsets[row + 1]));
    };
  }
  const out = new ByteWriter();
  const cell = bindJson(data, out, JSON_SETTINGS, column);
  return (row) => {
    if (cell.isPresent && !cell.isPresent(row)) return NULL;
    out.clear();
    cell.put(row);
    const text = out.written().toString();
    return text.startsWith('"') ? (JSON.parse(text) as string) : text;
  };
}

function bytesText(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    return `0x${Buffer.from(bytes).toString('hex')}`;
  }
}

/**
 * @param truncate Characters a cell is cut to, the last three of them dots, as Spark's console does; null: never.
 * @returns Lines without a final line feed.
 */
export async function formatTable({ columns, rows }: RowTable, truncate: number | null): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: columns.map((name) => shorten(name, truncate)),
    // No colours: what is printed is often piped.
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(row.map((cell) => shorten(cell, truncate)));
  return table.toString();
}

/** One row in one line, its cells cut as those of a table. */
export function formatRow(cells: readonly string[], truncate: number | null): string {
  return cells.map((cell) => shorten(cell, truncate)).join(' | ');
}

function shorten(text: string, truncate: number | null): string {
  const characters = truncate === null ? [] : Array.from(text);
  if (truncate === null || characters.length <= truncate) return printable(text);
  const kept = truncate < 4 ? truncate : truncate - 3;
  return printable(`${characters.slice(0, kept).join('')}${truncate < 4 ? '' : '...'}`);
}
