/**
 * Whether a statement gives for each row what that row alone says. Workers see batches, whose limits mean nothing: whatever
 * counts, orders or compares rows would give another result each time.
 */
import { OffloadError } from '../../errors.ts';
import { isNode, nodesIn, numberOf, type Syntax, type SyntaxNode, textOf } from './syntaxTree.ts';

export const TABLE = 'messages';

/** What is refused: its name, and where in the statement it stands if that is known. */
interface Refused {
  readonly what: string;
  readonly node?: SyntaxNode;
}

const MODIFIERS: Readonly<Record<string, string>> = {
  DISTINCT_MODIFIER: 'DISTINCT',
  ORDER_MODIFIER: 'ORDER BY',
  LIMIT_MODIFIER: 'LIMIT or OFFSET',
  LIMIT_PERCENT_MODIFIER: 'LIMIT',
};

/**
 * @param aggregates Names of aggregate functions, in lower case.
 * @returns The body of the SELECT.
 * @throws OffloadError TRANSFORM_INVALID naming what is not row-wise.
 */
export function checkRowWise(
  statements: readonly SyntaxNode[],
  aggregates: ReadonlySet<string>,
  where: string,
): SyntaxNode {
  const [statement, second] = statements;
  if (statement === undefined || second !== undefined) {
    throw invalid(where, `it holds ${statements.length} statements; give one SELECT`);
  }
  const body = statement.node as SyntaxNode;
  const refused = refusedQuery(body) ?? refusedTable(body.from_table) ?? refusedIn(body, aggregates);
  if (refused) {
    const at = numberOf(refused.node?.query_location);
    const place = at === null ? '' : ` (character ${at + 1})`;
    throw invalid(
      where,
      `${refused.what} is refused${place}: each batch of rows is transformed alone, so only what one row says by itself ` +
        `can be asked; write SELECT ... FROM ${TABLE} WHERE ...`,
    );
  }
  return body;
}

function refusedQuery(body: SyntaxNode): Refused | null {
  if (body.type === 'SET_OPERATION_NODE') return { what: textOf(body.setop_type) || 'a set operation' };
  const ctes = isNode(body.cte_map) ? nodesIn(body.cte_map.map) : [];
  if (body.type !== 'SELECT_NODE' || ctes.length > 0) return { what: 'WITH' };
  const [modifier] = nodesIn(body.modifiers);
  if (modifier) return { what: MODIFIERS[textOf(modifier.type)] ?? textOf(modifier.type) };
  const groups = [body.group_expressions, body.group_sets].some((list) => Array.isArray(list) && list.length > 0);
  if (groups || body.aggregate_handling !== 'STANDARD_HANDLING') return { what: 'GROUP BY' };
  if (body.having !== null) return { what: 'HAVING' };
  if (body.qualify !== null) return { what: 'QUALIFY' };
  return body.sample === null ? null : { what: 'SAMPLE' };
}

function refusedTable(table: Syntax | undefined): Refused | null {
  if (!isNode(table)) return { what: 'a SELECT without FROM' };
  if (isNode(table.sample)) return { what: 'SAMPLE', node: table };
  switch (table.type) {
    case 'BASE_TABLE': {
      const path = [table.catalog_name, table.schema_name, table.table_name].map(textOf).filter(Boolean);
      if (path.length !== 1 || path[0]?.toLowerCase() !== TABLE) {
        return { what: `the table ${path.join('.')}`, node: table };
      }
      const hasNames = Array.isArray(table.column_name_alias) && table.column_name_alias.length > 0;
      return hasNames ? { what: 'a list of column names behind the table', node: table } : null;
    }
    case 'JOIN':
      return { what: 'a second table or JOIN', node: table };
    case 'SUBQUERY':
      return { what: 'a subquery', node: table };
    case 'TABLE_FUNCTION': {
      const called = isNode(table.function) ? textOf(table.function.function_name) : '';
      return { what: `the table function ${called}`, node: table };
    }
    case 'EMPTY':
      return { what: 'a SELECT without FROM' };
    case 'EXPRESSION_LIST':
      return { what: 'VALUES', node: table };
    default:
      return { what: textOf(table.show_type) || textOf(table.type), node: table };
  }
}

function refusedIn(value: Syntax, aggregates: ReadonlySet<string>): Refused | null {
  if (Array.isArray(value)) {
    for (const item of value) {
      const refused = refusedIn(item, aggregates);
      if (refused) return refused;
    }
    return null;
  }
  if (!isNode(value)) return null;
  return refusedExpression(value, aggregates) ?? refusedIn(Object.values(value), aggregates);
}

function refusedExpression(node: SyntaxNode, aggregates: ReadonlySet<string>): Refused | null {
  switch (node.class) {
    case 'WINDOW':
      return { what: `the window function ${textOf(node.function_name)}`, node };
    case 'SUBQUERY':
      return { what: 'a subquery', node };
    case 'PARAMETER':
      return { what: 'a parameter', node };
    case 'POSITIONAL_REFERENCE':
      return { what: 'a column by its number', node };
    case 'FUNCTION': {
      const name = textOf(node.function_name);
      const isCounting = node.distinct === true || isNode(node.filter);
      const isOrdering = isNode(node.order_bys) && nodesIn(node.order_bys.orders).length > 0;
      if (!aggregates.has(name.toLowerCase()) && !isCounting && !isOrdering) return null;
      return { what: `the aggregate function ${name === 'count_star' ? 'count' : name}`, node };
    }
    default:
      return null;
  }
}

/** Operators of DuckDB's plans that look at more than one row: what macros hide shows there. */
const NOT_ROW_WISE = /AGGREGATE|WINDOW|ORDER|TOP_N|JOIN|CROSS_PRODUCT|LIMIT|SAMPLE|DISTINCT|GROUP|UNION|CTE/;

/** @throws OffloadError TRANSFORM_INVALID */
export function checkPlan(operators: readonly string[], where: string): void {
  const found = operators.find((name) => NOT_ROW_WISE.test(name));
  if (found === undefined) return;
  throw invalid(
    where,
    `it needs more than one row at a time (${found} in its plan): only row-wise expressions can be used`,
  );
}

export function invalid(where: string, why: string): OffloadError {
  return new OffloadError('TRANSFORM_INVALID', `cannot use ${where}: ${why}`, { context: { transform: where } });
}
