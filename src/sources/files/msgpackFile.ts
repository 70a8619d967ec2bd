/** msgpack files: maps one behind the other, or one array of maps. Read in pieces, whatever the size of the file. */
import type { MsgpackInput } from '../../config/readerOptions.ts';
import type { ColumnField, ColumnType } from '../../config/sparkSchema.ts';
import { messageOf } from '../../errors.ts';
import { entriesOf } from './canonical.ts';
import { fileBytes } from './fileBytes.ts';
import type { FileBatch, OpenFileOptions } from './fileTypes.ts';
import { rowBatches } from './rowBatches.ts';
import { invalidRow, isNot, shown, unsuitable } from './rowErrors.ts';
import { widerType } from './unify.ts';
import { typeOfValue, withoutNulls } from './valueTypes.ts';

type ReadOptions = Pick<OpenFileOptions, 'memoryLimitBytes' | 'signal'>;

/** Types come from so many rows at the beginning of a file. */
const SAMPLE_ROWS = 1000;

export async function msgpackColumns(input: MsgpackInput, file: string, options: ReadOptions): Promise<ColumnField[]> {
  const columns = new Map<string, ColumnType>();
  let count = 0;
  for await (const piece of values(input, file, options)) {
    for (const value of piece) {
      if (count === SAMPLE_ROWS) break;
      count += 1;
      for (const [key, inner] of entriesOf(value) ?? []) {
        const name = String(key);
        const known = columns.get(name) ?? 'NULL';
        const type = widerType(known, typeOfValue(inner));
        if (type === null && input.mode === 'FAILFAST') {
          throw invalidRow({ file, unit: 'row', number: count, column: name, why: isNot(inner, known) });
        }
        columns.set(name, type ?? known);
      }
    }
    if (count === SAMPLE_ROWS) break;
  }
  return [...columns].map(([name, type]) => ({ name, type: withoutNulls(type) }));
}

export async function* readMsgpackFile(
  input: MsgpackInput,
  file: string,
  columns: readonly ColumnField[],
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const names = new Set<unknown>(columns.map(({ name }) => name));
  const problemOf = (value: unknown): string | null => {
    const entries = entriesOf(value);
    if (entries === null) return `${shown(value)} is no map`;
    // With a schema the columns were chosen; without one, a name that comes late would be lost.
    if (input.schema !== null) return null;
    for (const key of entries.keys()) {
      if (!names.has(key)) return `it has a field ${String(key)} that no earlier row had; name all columns with schema`;
    }
    return null;
  };
  const valueIn = (value: unknown, column: number): unknown => entriesOf(value)?.get(columns[column]?.name);
  yield* rowBatches(values(input, file, options), columns, valueIn, problemOf, file, input.mode, options);
}

async function* values(
  input: MsgpackInput,
  file: string,
  options: ReadOptions,
): AsyncGenerator<unknown[], void, undefined> {
  const { Unpackr } = await import('msgpackr');
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'auto' as 'bigint' });
  let rest: Buffer = Buffer.alloc(0);
  let row = 0;
  let isFirst = true;
  for await (const piece of fileBytes(file, { ...options, compression: input.compression })) {
    let bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    if (isFirst) {
      const header = arrayHeaderBytes(bytes[0] as number);
      if (bytes.length <= header) {
        rest = bytes;
        continue;
      }
      bytes = bytes.subarray(header);
      isFirst = false;
    }
    if (bytes.length - piece.length > options.memoryLimitBytes) {
      throw invalidRow({
        file,
        unit: 'row',
        number: row + 1,
        why: `it has more than the ${options.memoryLimitBytes} bytes allowed`,
        next: 'raise --max-memory',
      });
    }
    let unpacked: unknown[] = [];
    rest = Buffer.alloc(0);
    try {
      unpacked = (unpackr.unpackMultiple(bytes) as unknown[] | undefined) ?? [];
    } catch (error) {
      const cut = error as { incomplete?: boolean; values?: unknown[]; lastPosition?: number };
      if (cut.incomplete !== true) {
        throw unsuitable(`cannot read ${file} after row ${row}: it is not msgpack (${messageOf(error)})`, {
          path: file,
        });
      }
      unpacked = cut.values ?? [];
      rest = bytes.subarray(cut.lastPosition ?? 0);
    }
    row += unpacked.length;
    yield unpacked;
  }
  if (rest.length > 0 && !isFirst) {
    throw unsuitable(`cannot read ${file}: it ends in the middle of row ${row + 1}`, { path: file });
  }
}

/** The bytes in front of the rows if the file is one array. */
function arrayHeaderBytes(first: number): number {
  if (first >= 0x90 && first <= 0x9f) return 1;
  if (first === 0xdc) return 3;
  return first === 0xdd ? 5 : 0;
}
