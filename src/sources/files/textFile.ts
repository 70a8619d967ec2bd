import { isUtf8 } from 'node:buffer';
import type { TextInput } from '../../config/readerOptions.ts';
import type { ColumnField } from '../../config/sparkSchema.ts';
import { BatchBuilder } from './batchBuilder.ts';
import type { BytesBuilder } from './columns/bytes.ts';
import { asUtf8, fileBytes } from './fileBytes.ts';
import type { FileBatch, OpenFileOptions } from './fileTypes.ts';
import { invalidRow } from './rowErrors.ts';

const CR = 13;
const COLUMNS: readonly ColumnField[] = [{ name: 'value', type: 'VARCHAR' }];

export function textColumns(): readonly ColumnField[] {
  return COLUMNS;
}

/** One row for each line, empty ones too; with `wholetext` one for the file. */
export async function* readTextFile(
  input: TextInput,
  file: string,
  options: OpenFileOptions,
): AsyncGenerator<FileBatch, void, undefined> {
  const builder = new BatchBuilder(COLUMNS, COLUMNS, options);
  const column = builder.columns[0] as BytesBuilder;
  const lineSep = Buffer.from(input.lineSep ?? '\n');
  let rest: Buffer = Buffer.alloc(0);
  let row = 0;
  const append = (bytes: Buffer, from: number, to: number, isChecked: boolean): void => {
    row += 1;
    if (row <= options.startRow) return;
    if (!isChecked && !isUtf8(bytes.subarray(from, to))) {
      throw invalidRow({ file, unit: 'line', number: row, why: 'its bytes are not UTF-8', next: 'set encoding' });
    }
    column.appendBytes(bytes, from, to);
    builder.added(1);
  };
  const pieces = fileBytes(file, { ...options, compression: input.compression });
  for await (const piece of asUtf8(pieces, input.encoding)) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    if (bytes.length - piece.length > options.memoryLimitBytes) {
      const what = input.wholetext ? 'its text has' : 'it has';
      throw invalidRow({
        file,
        unit: 'line',
        number: row + 1,
        why: `${what} more than the ${options.memoryLimitBytes} bytes allowed`,
        next: 'raise --max-memory',
      });
    }
    let from = 0;
    if (!input.wholetext) {
      const isChecked = isUtf8(bytes.subarray(0, bytes.lastIndexOf(lineSep) + 1));
      for (let end = bytes.indexOf(lineSep); end !== -1; end = bytes.indexOf(lineSep, from)) {
        const isCrLf = input.lineSep === null && end > from && bytes[end - 1] === CR;
        append(bytes, from, isCrLf ? end - 1 : end, isChecked);
        from = end + lineSep.length;
        if (builder.room === 0 || ((builder.rows & 15) === 0 && builder.isFull)) yield builder.take();
      }
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) append(rest, 0, rest.length, false);
  if (builder.hasNews) yield builder.take();
}
