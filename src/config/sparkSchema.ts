/**
 * The types of columns in source files as plain data, and Spark's DDL for them: `id INT, tags ARRAY<STRING>`.
 */
import { OffloadError } from '../errors.ts';
import { didYouMean } from './nearest.ts';

/** Named as DuckDB names them; TIMESTAMPTZ is an instant (Spark's TIMESTAMP), TIMESTAMP has no zone. */
export type ScalarType =
  | 'NULL'
  | 'BOOLEAN'
  | 'TINYINT'
  | 'SMALLINT'
  | 'INTEGER'
  | 'BIGINT'
  | 'HUGEINT'
  | 'UTINYINT'
  | 'USMALLINT'
  | 'UINTEGER'
  | 'UBIGINT'
  | 'UHUGEINT'
  | 'FLOAT'
  | 'DOUBLE'
  | 'VARCHAR'
  | 'BLOB'
  | 'DATE'
  | 'TIME'
  | 'TIME_NS'
  | 'TIMESTAMP_S'
  | 'TIMESTAMP_MS'
  | 'TIMESTAMP'
  | 'TIMESTAMP_NS'
  | 'TIMESTAMPTZ'
  | 'INTERVAL';

export type ColumnType =
  | ScalarType
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'list'; readonly item: ColumnType }
  | { readonly kind: 'struct'; readonly fields: readonly ColumnField[] }
  | { readonly kind: 'map'; readonly key: ColumnType; readonly value: ColumnType };

export interface ColumnField {
  readonly name: string;
  readonly type: ColumnType;
}

/** Spark's names, with the synonyms its parser takes. */
const SPARK_TYPES: Readonly<Record<string, ScalarType>> = {
  BOOLEAN: 'BOOLEAN',
  BYTE: 'TINYINT',
  TINYINT: 'TINYINT',
  SHORT: 'SMALLINT',
  SMALLINT: 'SMALLINT',
  INT: 'INTEGER',
  INTEGER: 'INTEGER',
  LONG: 'BIGINT',
  BIGINT: 'BIGINT',
  FLOAT: 'FLOAT',
  REAL: 'FLOAT',
  DOUBLE: 'DOUBLE',
  STRING: 'VARCHAR',
  VARCHAR: 'VARCHAR',
  CHAR: 'VARCHAR',
  BINARY: 'BLOB',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMPTZ',
  TIMESTAMP_LTZ: 'TIMESTAMPTZ',
  TIMESTAMP_NTZ: 'TIMESTAMP',
};
const TYPE_NAMES = [...Object.keys(SPARK_TYPES), 'DECIMAL', 'ARRAY', 'MAP', 'STRUCT'];
/** Spark's own default for DECIMAL without digits. */
const DEFAULT_DECIMAL = { precision: 10, scale: 0 };
const MAX_PRECISION = 38;

/**
 * Reads the columns of the option `schema`.
 *
 * @throws OffloadError USAGE that says what was expected, and where in the text.
 */
export function parseSparkSchema(text: string): ColumnField[] {
  const parser = new DdlParser(text);
  const fields = parser.fields(' ');
  parser.end();
  return fields;
}

class DdlParser {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @param between What stands between name and type: a space at the top, and a colon may in a STRUCT. */
  fields(between: ' ' | ':'): ColumnField[] {
    const fields: ColumnField[] = [];
    do {
      const name = this.#name('a column name');
      if (fields.some((field) => field.name === name)) throw this.#wrong(`the column ${name} a second time`);
      if (between === ':') this.#take(':');
      fields.push({ name, type: this.#type() });
      if (this.#word('NOT') && !this.#word('NULL')) throw this.#wrong('NULL is expected after NOT');
      if (this.#word('COMMENT')) this.#string();
    } while (this.#take(','));
    return fields;
  }

  end(): void {
    this.#space();
    if (this.#position < this.#text.length) throw this.#wrong('a comma is expected');
  }

  #type(): ColumnType {
    const word = this.#name('a type');
    switch (word.toUpperCase()) {
      case 'ARRAY':
        return this.#within(() => ({ kind: 'list', item: this.#type() }));
      case 'MAP':
        return this.#within(() => {
          const key = this.#type();
          if (!this.#take(',')) throw this.#wrong('a comma is expected between the types of a MAP');
          return { kind: 'map', key, value: this.#type() };
        });
      case 'STRUCT':
        return this.#within(() => ({ kind: 'struct', fields: this.fields(':') }));
      case 'DECIMAL':
      case 'DEC':
      case 'NUMERIC':
        return this.#decimal();
    }
    const scalar = SPARK_TYPES[word.toUpperCase()];
    if (scalar === undefined) throw this.#wrong(`there is no type ${word}${didYouMean(word, TYPE_NAMES)}`);
    if (scalar === 'VARCHAR' && this.#take('(')) {
      this.#number();
      this.#close(')');
    }
    return scalar;
  }

  #decimal(): ColumnType {
    if (!this.#take('(')) return { kind: 'decimal', ...DEFAULT_DECIMAL };
    const precision = this.#number();
    const scale = this.#take(',') ? this.#number() : 0;
    this.#close(')');
    if (precision < 1 || precision > MAX_PRECISION || scale > precision) {
      throw this.#wrong(`DECIMAL has 1 to ${MAX_PRECISION} digits, and no more of them behind the point`);
    }
    return { kind: 'decimal', precision, scale };
  }

  #within(inner: () => ColumnType): ColumnType {
    if (!this.#take('<')) throw this.#wrong('< is expected');
    const type = inner();
    this.#close('>');
    return type;
  }

  #name(what: string): string {
    this.#space();
    const match = /^(?:`((?:[^`]|``)+)`|([\p{L}_$][\p{L}\p{N}_$-]*))/u.exec(this.#text.slice(this.#position));
    if (match === null) throw this.#wrong(`${what} is expected`);
    this.#position += match[0].length;
    return match[1]?.replaceAll('``', '`') ?? (match[2] as string);
  }

  #number(): number {
    this.#space();
    const match = /^\d{1,9}/.exec(this.#text.slice(this.#position));
    if (match === null) throw this.#wrong('a number is expected');
    this.#position += match[0].length;
    return Number(match[0]);
  }

  #string(): void {
    this.#space();
    const match = /^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/s.exec(this.#text.slice(this.#position));
    if (match === null) throw this.#wrong('a text in quotes is expected after COMMENT');
    this.#position += match[0].length;
  }

  #word(word: string): boolean {
    this.#space();
    const match = /^[A-Za-z]+/.exec(this.#text.slice(this.#position));
    if (match?.[0].toUpperCase() !== word) return false;
    this.#position += word.length;
    return true;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  #close(character: string): void {
    if (!this.#take(character)) throw this.#wrong(`${character} is expected`);
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#position] ?? '')) this.#position += 1;
  }

  #wrong(what: string): OffloadError {
    const where = this.#position >= this.#text.length ? 'at its end' : `at character ${this.#position + 1}`;
    return new OffloadError(
      'USAGE',
      `the option schema "${this.#text}" cannot be read: ${what} ${where}; it looks like "id INT, name STRING"`,
    );
  }
}
