import { OffloadError } from '../errors.ts';
import { allowedCasts } from '../transform/casts.ts';
import type { CastType, Field, SourceColumn } from './fields.ts';
import { didYouMean } from './nearest.ts';

const FORMS = 'COLUMN, COLUMN as TYPE, COLUMN as NAME, cast(COLUMN as TYPE), cast(COLUMN as TYPE) as NAME';
const COLUMNS = Object.keys(allowedCasts) as SourceColumn[];

/** Spark SQL's type words: after `as` they are a cast, every other word is a name. Null: a type we cannot cast to. */
const TYPE_WORDS: Readonly<Record<string, CastType | null>> = {
  STRING: 'STRING',
  VARCHAR: 'STRING',
  BINARY: 'BINARY',
  INT: 'INT',
  INTEGER: 'INT',
  LONG: 'LONG',
  BIGINT: 'LONG',
  DOUBLE: 'DOUBLE',
  TIMESTAMP: 'TIMESTAMP',
  DATE: 'DATE',
  ...Object.fromEntries(
    ['BOOLEAN', 'BYTE', 'TINYINT', 'SHORT', 'SMALLINT', 'FLOAT', 'REAL', 'DECIMAL', 'DEC', 'NUMERIC', 'CHAR']
      .concat(['TIMESTAMP_NTZ', 'TIMESTAMP_LTZ', 'INTERVAL', 'ARRAY', 'MAP', 'STRUCT', 'VARIANT'])
      .map((word) => [word, null]),
  ),
};

/** Whether a word after `as` is a cast. */
export function isTypeWord(word: string): boolean {
  return word.toUpperCase() in TYPE_WORDS;
}

interface Token {
  readonly kind: 'word' | 'quoted' | 'symbol' | 'end';
  readonly text: string;
  /** Index of its first character in the entry. */
  readonly at: number;
}

/**
 * Reads the `fields` of a topic.
 *
 * @param config Name of the entry, for errors: `orders.fields[2]` is its third field.
 * @returns The output columns, in order, without expressions; names differ by more than case.
 * @throws OffloadError FIELD_INVALID, with the entry, a caret before the offending word and what is allowed there.
 */
export function parseFields(config: string, entries: readonly string[]): Field[] {
  const fields: Field[] = [];
  const firstUse = new Map<string, number>();
  entries.forEach((entry, index) => {
    if (isExpression(entry)) return;
    const field = new FieldParser(`${config}.fields[${index}]`, entry).parse();
    const key = field.name.toLowerCase();
    const earlier = firstUse.get(key);
    if (earlier !== undefined) {
      throw new OffloadError(
        'FIELD_INVALID',
        `${config}.fields[${index}]: "${entry}" gives a second column ${field.name}, after ` +
          `${config}.fields[${earlier}] "${entries[earlier]}"; names must differ by more than case: add "as NAME"`,
      );
    }
    firstUse.set(key, index);
    fields.push(field);
  });
  return fields;
}

/**
 * Whether an entry is more than a column with a cast or a name, and so for SQL: it calculates, calls a function, compares, or
 * casts to a type that only SQL has. What merely looks like a plain entry with a mistake is none.
 */
export function isExpression(entry: string): boolean {
  const text = entry.trim().replace(QUOTED, quotedAsWord);
  const [, inside, behind = ''] = /^cast\s*\(([^(),]*)\)(.*)$/isu.exec(text) ?? [];
  if (inside !== undefined) return [inside, behind].some((part) => SYMBOL.test(part)) || isWiderCast(inside);
  if (/^cast\s*\([\s\p{L}\p{N}_,]*\)?$/iu.test(text)) return false;
  return (SYMBOL.test(text) && !text.includes('`')) || /^\d/.test(text) || text.split(/\s+/).length > 4;
}

const SYMBOL = /[^\s\p{L}\p{N}_]/u;
const QUOTED = /`((?:[^`]|``)*)`/gu;

/** A name in backticks as a word: which name it is hardly matters here. */
function quotedAsWord(_quoted: string, name: string): string {
  return /^\w+$/.test(name) ? name : 'x';
}

/** A cast of a column to a type that exists and that the column does not take here. */
function isWiderCast(inside: string): boolean {
  const [, name = '', type = ''] = /^\s*(\w+)\s+as\s+(\w+)\s*$/iu.exec(inside) ?? [];
  const column = COLUMNS.find((each) => each.toLowerCase() === name.toLowerCase());
  const word = type.toUpperCase();
  if (column === undefined || column === 'headers' || !(word in TYPE_WORDS)) return false;
  const known = TYPE_WORDS[word];
  return known === undefined || known === null || !allowedCasts[column].includes(known);
}

class FieldParser {
  readonly #where: string;
  readonly #entry: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(where: string, entry: string) {
    this.#where = where;
    this.#entry = entry;
    this.#tokens = this.#tokenize();
  }

  parse(): Field {
    const isCast = this.#isWord(this.#peek(0), 'CAST') && this.#peek(1).text === '(';
    const field = isCast ? this.#cast() : this.#column();
    const rest = this.#peek(0);
    if (rest.kind !== 'end') this.#fail(rest, `"${rest.text}" is left over; allowed: ${FORMS}`);
    return field;
  }

  /** `cast(COLUMN as TYPE)`, and a name if `as` follows. */
  #cast(): Field {
    this.#next += 2;
    const column = this.#readColumn();
    this.#expectWord('AS');
    const type = this.#readType(column);
    const close = this.#take();
    if (close.text !== ')') this.#fail(close, 'expected ")"');
    return { name: this.#readAlias() ?? column, column, type };
  }

  /** `COLUMN`, `COLUMN as TYPE` or `COLUMN as NAME`. */
  #column(): Field {
    const column = this.#readColumn();
    const bare = { name: column, column, type: allowedCasts[column][0] };
    const word = this.#peek(1);
    if (this.#isWord(this.#peek(0), 'AS') && word.kind === 'word' && word.text.toUpperCase() in TYPE_WORDS) {
      this.#next += 1;
      return { ...bare, type: this.#readType(column) };
    }
    return { ...bare, name: this.#readAlias() ?? column };
  }

  #readColumn(): SourceColumn {
    const token = this.#take();
    const column = COLUMNS.find((name) => name.toLowerCase() === token.text.toLowerCase());
    if (column !== undefined && (token.kind === 'word' || token.kind === 'quoted')) return column;
    const what = token.kind === 'end' ? 'a column is missing' : `"${token.text}" is no column of a message`;
    return this.#fail(token, `${what}; columns: ${COLUMNS.join(', ')}${didYouMean(token.text, COLUMNS)}`);
  }

  #readType(column: SourceColumn): CastType {
    const token = this.#take();
    const type = token.kind === 'word' ? TYPE_WORDS[token.text.toUpperCase()] : undefined;
    if (type && allowedCasts[column].includes(type)) return type;
    // HEADERS is our own name for what headers are; nobody can write it.
    const allowed = allowedCasts[column].filter((name) => name !== 'HEADERS');
    const hint = allowed.length > 0 ? `types for ${column}: ${allowed.join(', ')}` : `${column} takes no cast`;
    if (type === undefined) {
      return this.#fail(
        token,
        token.kind === 'end' ? `a type is missing; ${hint}` : `"${token.text}" is no type; ${hint}`,
      );
    }
    return this.#fail(token, `${column} cannot be cast to ${token.text.toUpperCase()}; ${hint}`);
  }

  /** The name after `as`; null when no `as` follows. */
  #readAlias(): string | null {
    if (!this.#isWord(this.#peek(0), 'AS')) return null;
    this.#next += 1;
    const token = this.#take();
    if (token.kind === 'quoted' && token.text !== '') return token.text;
    if (token.kind === 'word' && /^[\p{L}_]/u.test(token.text)) return token.text;
    return this.#fail(token, 'expected a name of letters, digits and _, or any name in `backticks`');
  }

  #expectWord(word: string): void {
    const token = this.#take();
    if (!this.#isWord(token, word)) this.#fail(token, `expected "${word.toLowerCase()}"; allowed: ${FORMS}`);
  }

  #isWord(token: Token, word: string): boolean {
    return token.kind === 'word' && token.text.toUpperCase() === word;
  }

  #peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek(0);
    this.#next += 1;
    return token;
  }

  #tokenize(): Token[] {
    const tokens: Token[] = [];
    const pattern = /\s+|[\p{L}\p{N}_]+|`(?:[^`]|``)*`|./gsu;
    for (const { 0: text, index } of this.#entry.matchAll(pattern)) {
      if (/^\s/.test(text)) continue;
      if (text === '`') this.#fail({ kind: 'symbol', text, at: index }, 'the backtick is never closed');
      const quoted = text.startsWith('`');
      const kind = quoted ? 'quoted' : /^[\p{L}\p{N}_]/u.test(text) ? 'word' : 'symbol';
      tokens.push({ kind, text: quoted ? text.slice(1, -1).replaceAll('``', '`') : text, at: index });
    }
    tokens.push({ kind: 'end', text: '', at: this.#entry.length });
    return tokens;
  }

  #fail(token: Token, why: string): never {
    const marked = `${this.#entry.slice(0, token.at)}^${this.#entry.slice(token.at)}`;
    throw new OffloadError('FIELD_INVALID', `${this.#where}: "${marked}" (character ${token.at + 1}): ${why}`, {
      context: { entry: this.#entry, position: token.at + 1 },
    });
  }
}
