/**
 * SQL as DuckDB's own parser understands it, as a tree of plain objects that can be looked at, changed and made text again
 * (`json_serialize_sql`, `json_deserialize_sql`).
 */
import type { DuckDBConnection } from '@duckdb/node-api';

/** A node of the tree: what it holds besides depends on `class` and `type`. */
export interface SyntaxNode {
  [key: string]: Syntax;
}
export type Syntax = string | boolean | null | SyntaxNode | Syntax[];

export interface SyntaxError {
  readonly message: string;
  /** Character at which it was noticed, counted from 0; null where DuckDB names none. */
  readonly position: number | null;
}

/** The statements in a text; what is no SELECT has no tree and is an error. */
export async function parseSql(
  connection: DuckDBConnection,
  text: string,
): Promise<{ statements: SyntaxNode[] } | { error: SyntaxError }> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [text]);
  const tree = readTree(String(reader.getRows()[0]?.[0]));
  if (tree.error !== true) return { statements: tree.statements as SyntaxNode[] };
  const position = tree.position === undefined ? null : Number(tree.position);
  return { error: { message: String(tree.error_message), position } };
}

/** A statement as text: names quoted where they must be, brackets around all operators. */
export async function formatSql(connection: DuckDBConnection, statement: SyntaxNode): Promise<string> {
  const tree = writeTree({ error: false, statements: [statement] });
  const reader = await connection.runAndReadAll('SELECT json_deserialize_sql($1::JSON)', [tree]);
  return String(reader.getRows()[0]?.[0]);
}

const EMPTY_SELECT: SyntaxNode = {
  type: 'SELECT_NODE',
  modifiers: [],
  cte_map: { map: [] },
  from_table: { type: 'EMPTY', alias: '', sample: null },
  where_clause: null,
  group_expressions: [],
  group_sets: [],
  aggregate_handling: 'STANDARD_HANDLING',
  having: null,
  sample: null,
  qualify: null,
};

/** An expression as DuckDB writes it, for messages as well. */
export async function expressionText(connection: DuckDBConnection, item: SyntaxNode): Promise<string> {
  const query = await formatSql(connection, {
    node: { ...EMPTY_SELECT, select_list: [{ ...item, alias: '' }] },
    named_param_map: [],
  });
  return query.replace(/^SELECT /, '');
}

/** Begins a text that stands for a number, and a text that begins with the same character by chance. */
const MARK = '\u0001';
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Numbers stay the text they are: they have up to 128 bits, and nobody here counts with them. */
function readTree(json: string): SyntaxNode {
  const marked = json.replace(TOKEN, (token) => {
    if (!token.startsWith('"')) return `"\\u0001#${token}"`;
    return token.startsWith('"\\u0001') ? `"\\u0001.${token.slice(7)}` : token;
  });
  return JSON.parse(marked) as SyntaxNode;
}

function writeTree(tree: SyntaxNode): string {
  return JSON.stringify(tree).replace(TOKEN, (token) => {
    if (token.startsWith('"\\u0001#')) return token.slice(8, -1);
    return token.startsWith('"\\u0001.') ? `"\\u0001${token.slice(8)}` : token;
  });
}

/** A number in the tree; null for anything else, and where DuckDB knows none (it writes 2^64 - 1 then). */
export function numberOf(value: Syntax | undefined): number | null {
  if (typeof value !== 'string' || !value.startsWith(`${MARK}#`)) return null;
  const number = Number(value.slice(2));
  return Number.isSafeInteger(number) ? number : null;
}

function numberNode(value: number): Syntax {
  return `${MARK}#${value}`;
}

export function columnNode(name: string): SyntaxNode {
  return { class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', column_names: [name] };
}

/** An item of a list, counted from 1. */
export function itemNode(list: string, index: number): SyntaxNode {
  const value = { type: { id: 'INTEGER', type_info: null }, is_null: false, value: numberNode(index) };
  const constant = { class: 'CONSTANT', type: 'VALUE_CONSTANT', alias: '', value };
  return { class: 'OPERATOR', type: 'ARRAY_EXTRACT', alias: '', children: [columnNode(list), constant] };
}

export function functionNode(name: string, argument: SyntaxNode): SyntaxNode {
  return {
    ...{ class: 'FUNCTION', type: 'FUNCTION', alias: '', function_name: name, schema: '', catalog: '' },
    ...{ children: [argument], filter: null, order_bys: { type: 'ORDER_MODIFIER', orders: [] } },
    ...{ distinct: false, is_operator: false, export_state: false },
  };
}

export function tryNode(child: SyntaxNode): SyntaxNode {
  return { class: 'OPERATOR', type: 'OPERATOR_TRY', alias: '', children: [child] };
}

export function isNode(value: Syntax | undefined): value is SyntaxNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The nodes in a list of the tree. */
export function nodesIn(value: Syntax | undefined): SyntaxNode[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function textOf(value: Syntax | undefined): string {
  return typeof value === 'string' ? value : '';
}
