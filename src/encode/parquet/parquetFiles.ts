import { type Field, type Schema, Type } from 'apache-arrow';
import type { ParquetOutput } from '../../config/writerOptions.ts';
import { OffloadError } from '../../errors.ts';
import { cannotHold } from '../arrow/access.ts';
import { type FileFormat, NOTHING, type ReadableFile } from '../fileFormat.ts';
import { endOfFile } from './fileEnd.ts';
import { columnNames, type ParsedFooter, parseFooter, readTail, schemaBytes, TAIL_BYTES } from './footer.ts';
import { MAGIC } from './format.ts';
import { checkOldFooter } from './oldFooter.ts';
import { ParquetEncoder } from './parquetEncoder.ts';
import { isFlatColumn } from './rowGroup.ts';

/** Parquet: the magic, row groups, and a footer in which they stand in order, whatever order they lie in. */
export function parquetFiles({ compression }: ParquetOutput): FileFormat {
  return {
    isOrdered: false,
    async start(schema) {
      checkTypes(schema.fields, '');
      return { head: MAGIC, mark: NOTHING };
    },
    async readOld(file, schema) {
      checkTypes(schema.fields, '');
      const { footer, footerStart, footerBytes } = await readFooter(file);
      checkColumns(file, footer, schema, compression);
      const { rows } = footer;
      return { keptBytes: footerStart, joint: NOTHING, mark: NOTHING, footer: footerBytes, rows };
    },
    tail: (parts, position) =>
      endOfFile(
        parts.map((part) => ({ footer: part.footer, delta: part.position - MAGIC.length })),
        position,
      ),
    takesParts: ({ fields }) => fields.every(isFlatColumn),
    createEncoder: () => new ParquetEncoder(compression),
  };
}

/** The INTERVAL of Parquet has no nanoseconds, and parquet-wasm writes none of months, days and nanoseconds. */
function checkTypes(fields: readonly Field[], path: string): void {
  for (const { name, type } of fields) {
    const column = `${path}${name}`;
    if (type.typeId === Type.Interval || type.typeId === Type.Union) {
      throw cannotHold('parquet', column, type, 'leave the column out, or cast it');
    }
    checkTypes(type.children ?? [], `${column}.`);
  }
}

async function readFooter(
  file: ReadableFile,
): Promise<{ footer: ParsedFooter; footerStart: number; footerBytes: Uint8Array }> {
  try {
    const endBytes = Math.min(file.bytes, TAIL_BYTES);
    const end = await file.read(file.bytes - endBytes, endBytes);
    const { footerStart, footerBytes } = readTail(end, file.bytes);
    const bytes = await file.read(footerStart, footerBytes);
    const footer = parseFooter(bytes);
    checkOldFooter(footer, footerStart);
    // Whatever follows the FileMetaData is no page index of ours.
    return { footer, footerStart, footerBytes: bytes.subarray(0, footer.byteLength) };
  } catch (error) {
    if (!(error instanceof OffloadError) || error.code !== 'TARGET_UNSUITABLE') throw error;
    throw new OffloadError('TARGET_UNSUITABLE', `cannot append to ${file.path}: ${error.message}`, { cause: error });
  }
}

function checkColumns(
  { path }: ReadableFile,
  theirFooter: ParsedFooter,
  schema: Schema,
  compression: ParquetOutput['compression'],
): void {
  const encoder = new ParquetEncoder(compression);
  const ourFooter = parseFooter(encoder.emptyFile(schema).footer);
  encoder.free();
  if (schemaBytes(theirFooter).equals(schemaBytes(ourFooter))) return;
  const theirs = columnNames(theirFooter).join(', ');
  const ours = schema.fields.map(({ name }) => name).join(', ');
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot append to ${path}: it has the columns ${theirs}, and the new rows have ${ours}, or the same names in other types; write to another file, or use --write-mode Overwrite`,
    { context: { path, theirs, ours } },
  );
}
