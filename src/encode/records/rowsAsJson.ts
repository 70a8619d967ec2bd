/** Rows that have no `value`: each becomes one JSON object, as Spark's `to_json` writes it. */
import {
  type Data,
  DataType,
  makeData,
  RecordBatch,
  Schema,
  Field as SchemaField,
  Struct,
  Table,
  Utf8,
} from 'apache-arrow';
import { batchesOf } from '../arrow/access.ts';
import { bindJsonObject } from '../json/jsonRows.ts';
import { ByteWriter } from '../output/byteWriter.ts';

/** Null fields are left out, times are ISO. */
const AS_TO_JSON = { ignoreNullFields: true, dateFormat: null, timestampFormat: null } as const;

/** Columns that say more of a record than its value, where they are of a type that Kafka can take as it is. */
const BESIDE_VALUE: Readonly<Record<string, (type: DataType) => boolean>> = {
  key: (type) => DataType.isUtf8(type) || DataType.isBinary(type),
  topic: (type) => DataType.isUtf8(type),
  partition: (type) => DataType.isInt(type),
  timestamp: (type) => DataType.isTimestamp(type),
  headers: (type) => DataType.isList(type) || DataType.isMap(type),
};

/**
 * The same rows with a column `value`: the whole row as JSON. `key`, `topic`, `partition`, `timestamp` and `headers` stay
 * beside it where their type suits; others are in the JSON alone.
 *
 * @throws OffloadError TARGET_UNSUITABLE naming a column that JSON cannot hold.
 */
export function rowsAsJson(rows: Table | RecordBatch): Table {
  return new Table(batchesOf(rows).map(batchAsJson));
}

function batchAsJson(batch: RecordBatch): RecordBatch {
  const kept = batch.schema.fields.flatMap((field, index) => {
    const data = batch.data.children[index];
    return data && BESIDE_VALUE[field.name]?.(field.type) ? [{ field, data }] : [];
  });
  const fields = [...kept.map(({ field }) => field), new SchemaField('value', new Utf8(), false)];
  const children: Data[] = [...kept.map(({ data }) => data), jsonOf(batch)];
  const struct = makeData({ type: new Struct(fields), length: batch.numRows, nullCount: 0, children });
  return new RecordBatch(new Schema(fields), struct);
}

function jsonOf(batch: RecordBatch): Data<Utf8> {
  const out = new ByteWriter();
  const put = bindJsonObject(batch, out, AS_TO_JSON);
  const valueOffsets = new Int32Array(batch.numRows + 1);
  for (let row = 0; row < batch.numRows; row++) {
    put(row);
    valueOffsets[row + 1] = out.position;
  }
  return makeData({ type: new Utf8(), length: batch.numRows, nullCount: 0, valueOffsets, data: out.written() });
}
