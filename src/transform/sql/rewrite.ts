/**
 * Makes a statement over binary columns mean what its writer means. DuckDB's own cast of a BLOB to text escapes bytes
 * (`n\xC3\xA9`) and never fails, and its JSON functions take text only; so a binary column that is cast or handed to a JSON
 * function is decoded first.
 */
import { didYouMean } from '../../config/nearest.ts';
import { invalid } from './rowWise.ts';
import { isNode, nodesIn, numberOf, type Syntax, type SyntaxNode, textOf } from './syntaxTree.ts';

export interface InputColumn {
  readonly name: string;
  readonly isBinary: boolean;
}

export interface RewriteOptions {
  readonly columns: readonly InputColumn[];
  /** The text of a binary column: as it is, or null where it is no text. */
  readonly text: (column: string, invalid: 'fail' | 'null') => SyntaxNode;
  /** The text at a path of the JSON in a column, for the select list; null: as it is asked for. Absent: always so. */
  readonly jsonText?: (column: string, path: string) => SyntaxNode | null;
  /** Columns of the table that the statement must not see. */
  readonly hidden: readonly string[];
  readonly where: string;
}

export interface Rewritten {
  readonly body: SyntaxNode;
  /** Columns that the statement names, as they are written in the table. */
  readonly named: ReadonlySet<string>;
  /** Those of them of which it wants the text. */
  readonly texts: ReadonlySet<string>;
  /** By place in the select list: whether the expression has become another. */
  readonly changed: readonly boolean[];
}

/** Their arguments behind the first may be lambda functions; for all others `->` gets a value out of JSON. */
const LAMBDA_FUNCTIONS = /^(list|array)_(transform|apply|filter|reduce)$|^(apply|filter|reduce)$/;
const JSON_FUNCTIONS = /^->>?$|json/;
/** Those that give the text at a path. */
const JSON_TEXT = new Set(['->>', 'json_extract_string', 'json_extract_path_text']);
/** Types that DuckDB makes of bytes as they are. */
const TYPES_OF_BYTES = new Set(['BLOB', 'BIT']);

/**
 * @param body A row-wise SELECT; left as it is.
 * @throws OffloadError TRANSFORM_INVALID for a column that is not there, with those that are.
 */
export function rewriteSelect(body: SyntaxNode, options: RewriteOptions): Rewritten {
  return new Rewriter(body, options).rewrite();
}

class Rewriter {
  readonly #body: SyntaxNode;
  readonly #options: RewriteOptions;
  readonly #columns: ReadonlyMap<string, InputColumn>;
  readonly #table: string;
  /** Names given in the select list, which other expressions may use. */
  readonly #aliases: ReadonlySet<string>;
  /** Whether the expression that is visited is one of the select list. */
  #inList = true;
  readonly #named = new Set<string>();
  readonly #texts = new Set<string>();

  constructor(body: SyntaxNode, options: RewriteOptions) {
    this.#body = body;
    this.#options = options;
    this.#columns = new Map(options.columns.map((column) => [column.name.toLowerCase(), column]));
    const table = body.from_table as SyntaxNode;
    this.#table = (textOf(table.alias) || textOf(table.table_name)).toLowerCase();
    this.#aliases = new Set(nodesIn(body.select_list).map(({ alias }) => textOf(alias).toLowerCase()));
  }

  rewrite(): Rewritten {
    const before = nodesIn(this.#body.select_list);
    const list = before.map((item) => this.#visit(item, new Set()) as SyntaxNode);
    this.#inList = false;
    const where_clause = this.#visit(this.#body.where_clause ?? null, new Set());
    return {
      body: { ...this.#body, select_list: list, where_clause },
      named: this.#named,
      texts: this.#texts,
      changed: list.map((item, i) => JSON.stringify(item) !== JSON.stringify(before[i])),
    };
  }

  /** @param locals Parameters of the lambda functions around. */
  #visit(value: Syntax, locals: ReadonlySet<string>): Syntax {
    if (Array.isArray(value)) return value.map((item) => this.#visit(item, locals));
    if (!isNode(value)) return value;
    switch (value.class) {
      case 'COLUMN_REF':
        this.#resolve(value, locals);
        return value;
      case 'CAST':
        return this.#visitCast(value, locals);
      case 'FUNCTION':
        return this.#visitFunction(value, locals);
      case 'LAMBDA':
        return {
          ...value,
          lhs: this.#visitJson(value.lhs ?? null, locals),
          expr: this.#visit(value.expr ?? null, locals),
        };
      case 'STAR':
        return this.#visitStar(value, locals);
      default:
        return this.#visitParts(value, locals);
    }
  }

  #visitParts(node: SyntaxNode, locals: ReadonlySet<string>): SyntaxNode {
    return Object.fromEntries(Object.entries(node).map(([key, part]) => [key, this.#visit(part, locals)]));
  }

  #visitCast(node: SyntaxNode, locals: ReadonlySet<string>): Syntax {
    const column = this.#binaryColumn(node.child, locals);
    const target = isNode(node.cast_type) ? textOf(node.cast_type.id) : '';
    if (column === null || TYPES_OF_BYTES.has(target)) return this.#visitParts(node, locals);
    const text = this.#textOf(column, node.try_cast === true ? 'null' : 'fail');
    return target === 'VARCHAR' ? { ...text, alias: node.alias ?? '' } : { ...node, child: text };
  }

  #visitFunction(node: SyntaxNode, locals: ReadonlySet<string>): Syntax {
    const name = textOf(node.function_name).toLowerCase();
    const extracted = this.#extracted(name, node, locals);
    if (extracted !== null) return { ...extracted, alias: node.alias ?? '' };
    const children = (node.children as Syntax[]).map((child, i) => {
      if (i > 0 && isNode(child) && child.class === 'LAMBDA' && LAMBDA_FUNCTIONS.test(name)) {
        const inner = new Set([...locals, ...parametersOf(child.lhs)]);
        return { ...child, expr: this.#visit(child.expr ?? null, inner) };
      }
      return JSON_FUNCTIONS.test(name) ? this.#visitJson(child, locals) : this.#visit(child, locals);
    });
    return { ...node, children };
  }

  #extracted(name: string, node: SyntaxNode, locals: ReadonlySet<string>): SyntaxNode | null {
    const [json, path] = node.children as Syntax[];
    const { jsonText } = this.#options;
    if (jsonText === undefined || !this.#inList || !JSON_TEXT.has(name)) return null;
    const column = this.#binaryColumn(json, locals);
    const text = constantText(path);
    if (column === null || text === null || (node.children as Syntax[]).length !== 2) return null;
    this.#texts.add(column);
    return jsonText(column, text);
  }

  /** What goes into a JSON function. */
  #visitJson(value: Syntax, locals: ReadonlySet<string>): Syntax {
    const column = this.#binaryColumn(value, locals);
    return column === null ? this.#visit(value, locals) : this.#textOf(column, 'fail');
  }

  #visitStar(node: SyntaxNode, locals: ReadonlySet<string>): Syntax {
    const excluded = (node.exclude_list as Syntax[]).map((name) => textOf(name).toLowerCase());
    for (const { name } of this.#options.columns) if (!excluded.includes(name.toLowerCase())) this.#named.add(name);
    const exclude_list = [...(node.exclude_list as Syntax[]), ...this.#options.hidden];
    const replace_list = this.#visit(node.replace_list ?? [], locals);
    return { ...node, exclude_list, replace_list, expr: this.#visitNames(node.expr ?? null) };
  }

  /** The argument of COLUMNS(): names and functions of names, no columns. */
  #visitNames(value: Syntax): Syntax {
    if (Array.isArray(value)) return value.map((item) => this.#visitNames(item));
    if (!isNode(value)) return value;
    if (value.class === 'STAR') return this.#visitStar(value, new Set());
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, this.#visitNames(part)]));
  }

  #textOf(column: string, ifInvalid: 'fail' | 'null'): SyntaxNode {
    this.#texts.add(column);
    return this.#options.text(column, ifInvalid);
  }

  /** The binary column that a node is, alone; null where it is something else. */
  #binaryColumn(node: Syntax | undefined, locals: ReadonlySet<string>): string | null {
    if (!isNode(node) || node.class !== 'COLUMN_REF') return null;
    const found = this.#resolve(node, locals);
    return found?.isWhole && found.column.isBinary ? found.column.name : null;
  }

  /** @returns Null for what is no column: a parameter of a lambda function, a name from the select list. */
  #resolve(node: SyntaxNode, locals: ReadonlySet<string>): { column: InputColumn; isWhole: boolean } | null {
    const path = (node.column_names as Syntax[]).map((name) => textOf(name).toLowerCase());
    const [first = '', second] = path;
    if (locals.has(first)) return null;
    const qualified = first === this.#table && second !== undefined ? this.#columns.get(second) : undefined;
    const column = qualified ?? this.#columns.get(first);
    if (column === undefined) {
      if (this.#aliases.has(first) && first !== '') return null;
      throw this.#unknown(node);
    }
    this.#named.add(column.name);
    return { column, isWhole: path.length === (qualified ? 2 : 1) };
  }

  #unknown(node: SyntaxNode): Error {
    const path = (node.column_names as Syntax[]).map(textOf);
    const name = path.length > 1 && path[0]?.toLowerCase() === this.#table ? path.slice(1).join('.') : path.join('.');
    const names = this.#options.columns.map((column) => column.name);
    const at = numberOf(node.query_location);
    const place = at === null ? '' : ` (character ${at + 1})`;
    return invalid(
      this.#options.where,
      `there is no column ${name}${place}; there are ${names.join(', ')}${didYouMean(name, names)}`,
    );
  }
}

/** A text in quotes; null for everything else. */
function constantText(node: Syntax | undefined): string | null {
  if (!isNode(node) || node.class !== 'CONSTANT' || !isNode(node.value)) return null;
  const { type, value } = node.value;
  return isNode(type) && type.id === 'VARCHAR' && typeof value === 'string' ? value : null;
}

/** `x` or `(x, i)` before the arrow. */
function parametersOf(lhs: Syntax | undefined): string[] {
  if (!isNode(lhs)) return [];
  if (lhs.class === 'COLUMN_REF') return (lhs.column_names as Syntax[]).map((name) => textOf(name).toLowerCase());
  return nodesIn(lhs.children).flatMap(parametersOf);
}
