/** Plain text: one column of strings, a line for each value. */
import { type Data, type RecordBatch, type Schema, Type } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { offsetsOf, presenceOf } from '../arrow/access.ts';
import type { ByteWriter } from '../output/byteWriter.ts';

/**
 * Refuses what is not one column of text.
 *
 * @throws OffloadError TARGET_UNSUITABLE naming the columns and their types.
 */
export function checkTextSchema({ fields }: Schema): void {
  const [only] = fields;
  if (fields.length === 1 && only && (only.type.typeId === Type.Utf8 || only.type.typeId === Type.LargeUtf8)) return;
  const columns = fields.map(({ name, type }) => `${name} ${type}`).join(', ');
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot write the columns ${columns} as text: text holds exactly one column of strings; name one field, such as "value as STRING", or write json or csv`,
    { context: { columns } },
  );
}

/** Writes the value of a row and a line end; null is an empty line, as Spark writes it. */
export function bindTextLine(batch: RecordBatch, out: ByteWriter, lineSep: string): (row: number) => void {
  checkTextSchema(batch.schema);
  const data = batch.data.children[0] as Data;
  const offsets = offsetsOf(data);
  const source: Uint8Array = data.values;
  const isPresent = presenceOf(data);
  const end = Buffer.from(lineSep);
  return (row) => {
    if (isPresent === null || isPresent(row)) out.put(source, offsets[row], offsets[row + 1]);
    out.put(end);
  };
}
