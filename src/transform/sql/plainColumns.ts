/** Columns that are made without SQL, beside those of a statement: they go past it as they are. */
import { type Data, makeData, RecordBatch, Schema, Struct } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import type { BatchTransform } from '../batchTransform.ts';
import { invalid } from './rowWise.ts';

/**
 * @param order Where the columns of the result come from.
 * @param input Columns of the batch: the plain ones, and behind them the table of the statement.
 * @throws OffloadError TRANSFORM_INVALID for a name that comes twice.
 */
export async function besidePlainColumns(
  order: readonly ('plain' | 'sql')[],
  input: Schema,
  where: string,
  open: (table: Schema) => Promise<BatchTransform>,
): Promise<BatchTransform> {
  const plain = order.filter((from) => from === 'plain').length;
  const tableSchema = new Schema(input.fields.slice(plain));
  const statement = await open(tableSchema);
  const fields = inOrder(order, input.fields, statement.schema.fields);
  const schema = new Schema(fields);
  try {
    checkNames(schema, where);
  } catch (error) {
    await statement.close();
    throw error;
  }
  return {
    schema,
    async apply(batch, place, onInvalidUtf8) {
      const { children } = batch.data;
      const result = await statement.apply(
        batchOf(tableSchema, children.slice(plain), batch.numRows),
        place,
        onInvalidUtf8,
      );
      if (result.numRows !== batch.numRows) {
        throw new OffloadError(
          'TRANSFORM_FAILED',
          `cannot apply ${where} to ${batch.numRows} rows from ${place.rowName(0)} on: they became ${result.numRows} rows, ` +
            'and plain columns stand beside them; use --transform to make more or fewer rows',
        );
      }
      return batchOf(schema, inOrder(order, children, result.data.children), batch.numRows);
    },
    ...(statement.findBadRows && {
      findBadRows: (batch, place) => {
        const table = batchOf(tableSchema, batch.data.children.slice(plain), batch.numRows);
        return statement.findBadRows?.(table, place) ?? Promise.resolve(null);
      },
    }),
    close: () => statement.close(),
  };
}

function inOrder<Item>(order: readonly ('plain' | 'sql')[], plain: readonly Item[], sql: readonly Item[]): Item[] {
  let [nextPlain, nextSql] = [0, 0];
  return order.map((from) => (from === 'plain' ? plain[nextPlain++] : sql[nextSql++]) as Item);
}

function batchOf(schema: Schema, children: readonly Data[], length: number): RecordBatch {
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children: [...children] }));
}

function checkNames({ fields }: Schema, where: string): void {
  const seen = new Set<string>();
  for (const { name } of fields) {
    const key = name.toLowerCase();
    if (seen.has(key)) {
      throw invalid(where, `it gives the column ${name} twice; names must differ by more than case: add "as NAME"`);
    }
    seen.add(key);
  }
}
