/** One set of columns for all files of a source. */
import type { InputFormat } from '../../config/readerOptions.ts';
import type { ColumnField, ColumnType } from '../../config/sparkSchema.ts';
import { sameType, sqlType } from './columnTypes.ts';
import { unsuitable } from './rowErrors.ts';

const INTEGERS: readonly ColumnType[] = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT'];

export interface ColumnsOfFile {
  readonly file: string;
  readonly columns: readonly ColumnField[];
}

/**
 * Joins the columns of files. In JSON and msgpack any row may lack a field, so files may as well, and types that were found
 * by looking at values widen; all other formats must agree unless `mergeSchema` is set.
 *
 * @throws OffloadError SOURCE_UNSUITABLE naming file and column.
 */
export function unifyColumns(input: InputFormat, files: Iterable<ColumnsOfFile>): ColumnField[] {
  const isLoose = input.format === 'json' || input.format === 'msgpack' || input.mergeSchema;
  const widens = isLoose || (input.format === 'csv' && input.inferSchema);
  let first: ColumnsOfFile | null = null;
  let joined: ColumnField[] = [];
  for (const next of files) {
    if (next.columns.length === 0) continue;
    if (first === null) {
      first = next;
      joined = [...next.columns];
      continue;
    }
    if (!isLoose) checkNames(first, next);
    joined = joined.map((column, i) => {
      const other = isLoose ? next.columns.find(({ name }) => name === column.name) : next.columns[i];
      if (other === undefined || sameType(other.type, column.type)) return column;
      const type = widens ? (widerType(column.type, other.type) ?? textIfFound(input)) : null;
      if (type !== null) return { ...column, type };
      throw unsuitable(
        `cannot read ${next.file}: its column ${column.name} is ${sqlType(other.type)}, and that of ${first?.file} is ${sqlType(column.type)}; set schema`,
        { path: next.file, column: column.name },
      );
    });
    for (const column of next.columns) if (!joined.some(({ name }) => name === column.name)) joined.push(column);
  }
  return joined;
}

/** Values of types that do not go together are still text in text formats. */
function textIfFound({ format }: InputFormat): ColumnType | null {
  return format === 'json' || format === 'csv' ? 'VARCHAR' : null;
}

function checkNames(first: ColumnsOfFile, next: ColumnsOfFile): void {
  const names = first.columns.map(({ name }) => name);
  const others = next.columns.map(({ name }) => name);
  const missing = names.find((name) => !others.includes(name));
  const added = others.find((name) => !names.includes(name));
  const wrong =
    missing !== undefined
      ? `it lacks the column ${missing} of ${first.file}`
      : added !== undefined
        ? `it has a column ${added} that ${first.file} lacks`
        : names.some((name, i) => name !== others[i])
          ? `its columns stand in another order than those of ${first.file}: ${others.join(', ')}`
          : null;
  if (wrong === null) return;
  throw unsuitable(`cannot read ${next.file}: ${wrong}; set mergeSchema=true to read files of different columns`, {
    path: next.file,
    column: missing ?? added ?? '',
  });
}

/** The type that holds the values of both without loss; null where there is none. */
export function widerType(left: ColumnType, right: ColumnType): ColumnType | null {
  if (left === 'NULL' || sameType(left, right)) return right;
  if (right === 'NULL') return left;
  if (typeof left === 'string' && typeof right === 'string') {
    const [a, b] = [INTEGERS.indexOf(left), INTEGERS.indexOf(right)];
    if (a >= 0 && b >= 0) return a > b ? left : right;
    const pair = new Set([left, right]);
    if (pair.has('UBIGINT') && (a >= 0 || b >= 0)) return 'HUGEINT';
    const isNumber = (type: ColumnType, at: number): boolean => at >= 0 || type === 'FLOAT' || type === 'DOUBLE';
    return isNumber(left, a) && isNumber(right, b) ? 'DOUBLE' : null;
  }
  if (typeof left === 'string' || typeof right === 'string') return null;
  if (left.kind === 'list' && right.kind === 'list') {
    const item = widerType(left.item, right.item);
    return item === null ? null : { kind: 'list', item };
  }
  if (left.kind !== 'struct' || right.kind !== 'struct') return null;
  const fields = [...left.fields];
  for (const field of right.fields) {
    const at = fields.findIndex(({ name }) => name === field.name);
    const known = fields[at];
    if (known === undefined) {
      fields.push(field);
      continue;
    }
    const type = widerType(known.type, field.type);
    if (type === null) return null;
    fields[at] = { ...known, type };
  }
  return { kind: 'struct', fields };
}
