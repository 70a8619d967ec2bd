/** A statement as somebody wrote it: its tree and its names, or what is wrong with it. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { quoteName } from '../../sources/files/columnTypes.ts';
import { checkRowWise, invalid, TABLE } from './rowWise.ts';
import { expressionText, nodesIn, parseSql, type SyntaxNode, textOf } from './syntaxTree.ts';

export interface Select {
  readonly body: SyntaxNode;
  /** As DuckDB would name them, in order; null for a star, which is many. */
  readonly names: readonly (string | null)[];
}

/** @throws OffloadError TRANSFORM_INVALID: a syntax error with its place, what is not row-wise by its name. */
export async function readSelect(connection: DuckDBConnection, statement: string, where: string): Promise<Select> {
  const text = withoutBackticks(statement);
  const parsed = await parseSql(connection, text);
  if ('error' in parsed) throw syntaxError(text, parsed.error, where);
  const body = checkRowWise(parsed.statements, await aggregateNames(connection), where);
  const names: (string | null)[] = [];
  for (const item of nodesIn(body.select_list)) names.push(await nameOf(connection, item));
  return { body, names };
}

/** A statement of expressions; a comment in one of them ends with it. */
export function selectOf(expressions: readonly string[]): string {
  return `SELECT ${expressions.join('\n, ')}\nFROM ${TABLE}`;
}

/** @throws OffloadError TRANSFORM_INVALID for a text that is not one expression. */
export async function checkExpression(connection: DuckDBConnection, text: string, where: string): Promise<void> {
  const { body, names } = await readSelect(connection, selectOf([text]), where);
  if (names.length === 1 && names[0] !== null && body.where_clause === null) return;
  throw invalid(where, `"${text}" is not one expression; write EXPRESSION or EXPRESSION as NAME`);
}

/** Character, and the statement with a mark before it. */
function syntaxError(text: string, error: { message: string; position: number | null }, where: string): Error {
  if (error.message.startsWith('Only SELECT')) {
    const [word = ''] = /^\s*\w+/.exec(text) ?? [];
    return invalid(where, `${word.trim().toUpperCase()} is refused; write SELECT ... FROM ${TABLE} WHERE ...`);
  }
  const at = error.position;
  if (at === null) return invalid(where, error.message);
  const [before, after] = [text.slice(Math.max(0, at - 40), at), text.slice(at, at + 40)];
  const hint = /\boffset\b/i.test(before.slice(-12)) ? '; offset is a word of SQL: write the column as "offset"' : '';
  return invalid(where, `${error.message} (character ${at + 1}: ${oneLine(`${before}^${after}`)})${hint}`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Spark quotes names in backticks. */
function withoutBackticks(text: string): string {
  const tokens = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|`((?:[^`]|``)*)`/g;
  return text.replace(tokens, (token, name?: string) =>
    name === undefined ? token : quoteName(name.replaceAll('``', '`')),
  );
}

async function aggregateNames(connection: DuckDBConnection): Promise<Set<string>> {
  const sql = "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type = 'aggregate'";
  const reader = await connection.runAndReadAll(sql);
  return new Set(reader.getRows().map(([name]) => String(name)));
}

/** @returns Null for what becomes many columns. */
async function nameOf(connection: DuckDBConnection, item: SyntaxNode): Promise<string | null> {
  if (textOf(item.alias) !== '') return textOf(item.alias);
  if (JSON.stringify(item).includes('"class":"STAR"')) return null;
  if (item.class === 'COLUMN_REF') return textOf((item.column_names as string[]).at(-1));
  return expressionText(connection, item);
}
