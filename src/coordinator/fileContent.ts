/** What a manifest says of the columns of its files, so that their offsets can be read again. */
import type { Field, SourceColumn } from '../config/fields.ts';
import type { FileContent, OriginColumn } from '../tasks.ts';
import type { TransformSettings } from '../transform/batchTransform.ts';
import type { OffloadJob } from './jobs.ts';

/** Null where a row of the files need not be a message: `--transform` can leave rows out and make more of one. */
export function contentOf({ source, sink, transform }: OffloadJob): FileContent | null {
  const names = columnsOf(source.fields, transform);
  if (names === null) return null;
  const { partitionBy, output } = sink.target;
  const inPaths = new Set(partitionBy.filter((level) => level.of === null).map(({ column }) => column.toLowerCase()));
  const inFiles = names.filter((field) => field === null || !inPaths.has(field.name.toLowerCase()));
  const find = (column: SourceColumn): OriginColumn | null => {
    for (const [index, field] of inFiles.entries()) {
      if (field?.column !== column) continue;
      const { name, type } = field;
      if (type === 'LONG' || type === 'INT' || type === 'STRING') return { name, type, index };
    }
    return null;
  };
  return { output, topic: find('topic'), partition: find('partition'), offset: find('offset') };
}

/** Output columns in order; null stands for one that is computed. Null in place of all: rows are no longer messages. */
function columnsOf(fields: readonly Field[], transform: TransformSettings | null): (Field | null)[] | null {
  if (transform === null) return [...fields];
  if (transform.kind === 'sql' && transform.order !== null) {
    // The plain fields come first in the batch.
    const plain = fields.values();
    return transform.order.map((from) => (from === 'plain' ? (plain.next().value ?? null) : null));
  }
  if (transform.kind === 'deserializers' && transform.next === null) {
    const typed = new Set(transform.columns.map(({ index }) => index));
    return fields.map((field, index) => (typed.has(index) ? null : field));
  }
  return null;
}
