/** The columns that a query gives, and their types in Arrow. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { ColumnField, ColumnType } from '../../config/sparkSchema.ts';
import { messageOf } from '../../errors.ts';
import { sameType } from '../../sources/files/columnTypes.ts';
import { duckdbReason, exportedType } from '../../sources/files/duckdb/database.ts';
import { checkPlan, invalid } from './rowWise.ts';

export interface OutputColumn extends ColumnField {
  /** DuckDB casts it to `type` before it leaves. */
  readonly isCast: boolean;
}

/**
 * What a query gives.
 *
 * @throws OffloadError TRANSFORM_INVALID with DuckDB's words, naming a column that comes twice or has a type that Arrow lacks.
 */
export async function describeQuery(
  connection: DuckDBConnection,
  query: string,
  where: string,
): Promise<OutputColumn[]> {
  const prepared = await connection.prepare(query).catch((error: unknown) => {
    throw invalid(where, bindError(error));
  });
  const columns: OutputColumn[] = [];
  try {
    const seen = new Set<string>();
    for (let i = 0; i < prepared.columnCount; i++) {
      const name = prepared.columnName(i);
      if (seen.has(name.toLowerCase())) {
        throw invalid(where, `it gives the column ${name} twice; names must differ by more than case: add AS NAME`);
      }
      seen.add(name.toLowerCase());
      const type = prepared.columnType(i);
      const exported = exportedType(type);
      if (typeof exported === 'string') {
        throw invalid(where, `its column ${name} is of type ${type}, which has no counterpart in Arrow; cast it`);
      }
      const written = withoutSeconds(exported.type);
      columns.push({ name, type: written, isCast: exported.isCast || !sameType(written, exported.type) });
    }
  } finally {
    prepared.destroySync();
  }
  const plan = await connection.runAndReadAll(`EXPLAIN (FORMAT json) ${query}`);
  checkPlan(operatorsIn(JSON.parse(String(plan.getRows()[0]?.[1])) as Plan[]), where);
  return columns;
}

/** Parquet counts no seconds: timestamps in them become timestamps in milliseconds. */
function withoutSeconds(type: ColumnType): ColumnType {
  if (typeof type === 'string') return type === 'TIMESTAMP_S' ? 'TIMESTAMP_MS' : type;
  switch (type.kind) {
    case 'decimal':
      return type;
    case 'list':
      return { kind: 'list', item: withoutSeconds(type.item) };
    case 'map':
      return { kind: 'map', key: withoutSeconds(type.key), value: withoutSeconds(type.value) };
    case 'struct':
      return { kind: 'struct', fields: type.fields.map((field) => ({ ...field, type: withoutSeconds(field.type) })) };
  }
}

interface Plan {
  readonly name: string;
  readonly children: readonly Plan[];
}

function operatorsIn(plans: readonly Plan[]): string[] {
  return plans.flatMap(({ name, children }) => [name, ...operatorsIn(children)]);
}

/** DuckDB's first line, and its advice where it has one; not the line of a query that nobody wrote. */
function bindError(error: unknown): string {
  const [, ...more] = messageOf(error).split('\n');
  const advice = more.find((line) => line.startsWith('Did you mean'));
  const needsText = /\bBLOB\b/.test(messageOf(error)) ? '; key and value are bytes: cast them to VARCHAR for text' : '';
  return duckdbReason(error).replace(/\.$/, '') + (advice ? `; ${advice}` : '') + needsText;
}
