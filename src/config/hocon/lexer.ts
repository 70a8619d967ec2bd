// biome-ignore-all lint/suspicious/noControlCharactersInRegex: white space here and in JSON is about them
import { parsePath } from './paths.ts';
import { invalidAt, type Source } from './source.ts';

export type TokenKind =
  /** Text in quotes, text without, and what is a number, `true`, `false` or `null` when it stands alone. */
  | 'string'
  | 'text'
  | 'number'
  | 'boolean'
  | 'null'
  | 'substitution'
  | '{'
  | '}'
  | '['
  | ']'
  | ':'
  | ','
  | '='
  | '+='
  | 'newline'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** The text with its escapes replaced; for numbers as it was written. */
  readonly text: string;
  readonly offset: number;
  /** White space before it, newlines excepted: it counts between parts of one value. */
  readonly space: string;
  readonly substitution?: Substitution;
}

/** `${path}`, `${?path}`, and `${path[]}`, which takes a list from the variables `path_0`, `path_1`, ... */
export interface Substitution {
  readonly path: readonly string[];
  readonly optional: boolean;
  readonly fromList: boolean;
}

/** Java's white space, non-breaking spaces and byte order marks; a newline is a token of its own. */
const SPACE = /[\t\v\f\r\x1c-\x1f\p{Z}\uFEFF]*/uy;
const COMMENT = /(?:#|\/\/)[^\n]*/y;
const TRIPLE_QUOTED = /"""(.*?)"""("*)/sy;
const NUMBER_CHARACTERS = /[-0-9][-+.0-9eE]*/y;
const LITERAL = /true|false|null/y;
/** Up to a reserved character, white space or a comment. */
const TEXT = /(?:(?!\/\/)[^$"{}[\]:=,+#`^?!@*&\\\s\x1c-\x1f\p{Z}\uFEFF])+/uy;
const PLAIN_CHARACTERS = /[^"\\\x00-\x1f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/**
 * Cuts a text into tokens; comments are dropped.
 *
 * @returns All of them, the last of kind `end`.
 * @throws OffloadError CONFIG_INVALID at the first character that cannot be read.
 */
export function tokenize(source: Source): Token[] {
  return new Lexer(source).tokenize();
}

class Lexer {
  readonly #source: Source;
  readonly #text: string;
  #at = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
  }

  tokenize(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      const token = this.#next();
      tokens.push(token);
      if (token.kind === 'end') return tokens;
    }
  }

  #next(): Token {
    const space = this.#match(SPACE)?.[0] ?? '';
    const start = this.#at;
    // A newline or the end follows, before which white space does not count.
    if (this.#match(COMMENT) !== null) return this.#next();
    const token = (kind: TokenKind, text: string): Token => ({ kind, text, offset: start, space });
    const character = this.#text[start];
    switch (character) {
      case undefined:
        return token('end', '');
      case '\n':
        this.#at += 1;
        return token('newline', character);
      case '{':
      case '}':
      case '[':
      case ']':
      case ':':
      case ',':
      case '=':
        this.#at += 1;
        return token(character, character);
      case '+':
        if (this.#text[start + 1] !== '=') this.#failReserved(start);
        this.#at += 2;
        return token('+=', '+=');
      case '"':
        return token('string', this.#readString());
      case '$':
        return { ...token('substitution', ''), substitution: this.#readSubstitution() };
      default:
        return this.#readWord(token);
    }
  }

  /** A number, one of the three literals, or text up to the next reserved character. */
  #readWord(token: (kind: TokenKind, text: string) => Token): Token {
    const start = this.#at;
    const digits = this.#match(NUMBER_CHARACTERS)?.[0];
    if (digits !== undefined) {
      if (isNumber(digits)) return token('number', digits);
      if (digits.includes('+')) this.#failReserved(start + digits.indexOf('+'));
      return token('text', digits);
    }
    const literal = this.#match(LITERAL)?.[0];
    if (literal !== undefined) return token(literal === 'null' ? 'null' : 'boolean', literal);
    const text = this.#match(TEXT)?.[0];
    return text === undefined ? this.#failReserved(start) : token('text', text);
  }

  #readString(): string {
    const start = this.#at;
    if (this.#text.startsWith('"""', start)) {
      const match = this.#match(TRIPLE_QUOTED);
      // Of more than three quotes the last three end the text.
      if (match !== null) return `${match[1]}${match[2]}`;
      return this.#fail(start, 'these three quotes are never closed');
    }
    this.#at += 1;
    let text = '';
    for (;;) {
      text += this.#match(PLAIN_CHARACTERS)?.[0] ?? '';
      const character = this.#text[this.#at];
      if (character === '"') break;
      if (character !== '\\') {
        const isOpen = character === undefined || character === '\n';
        return isOpen
          ? this.#fail(start, 'this quote is never closed; text of several lines takes three quotes')
          : this.#fail(this.#at, 'a control character in a quoted text; write it as an escape');
      }
      text += this.#readEscape();
    }
    this.#at += 1;
    return text;
  }

  #readEscape(): string {
    const start = this.#at;
    const code = /\\u([0-9a-fA-F]{4})/y;
    const hexadecimal = this.#match(code)?.[1];
    if (hexadecimal !== undefined) return String.fromCharCode(Number.parseInt(hexadecimal, 16));
    const escaped = this.#text[start + 1] ?? '';
    const character = Object.hasOwn(ESCAPES, escaped) ? ESCAPES[escaped] : undefined;
    if (character === undefined) {
      this.#fail(start, 'unknown escape in a quoted text; write \\\\ for a backslash, or use three quotes');
    }
    this.#at += 2;
    return character ?? '';
  }

  #readSubstitution(): Substitution {
    const start = this.#at;
    if (this.#text[start + 1] !== '{') this.#failReserved(start);
    const optional = this.#text[start + 2] === '?';
    this.#at += optional ? 3 : 2;
    const parts: Token[] = [];
    for (;;) {
      const token = this.#text[this.#at] === '$' ? null : this.#next();
      if (token?.kind === '}') break;
      if (token === null || token.kind === 'end' || token.kind === 'newline' || token.kind === 'substitution') {
        this.#fail(start, `this substitution is never closed; write \${PATH} or \${?PATH} in one line`);
      } else parts.push(token);
    }
    const fromList = parts.at(-2)?.kind === '[' && parts.at(-1)?.kind === ']';
    if (fromList) parts.splice(-2);
    return { path: parsePath(parts, { source: this.#source, offset: start }), optional, fromList };
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  #failReserved(offset: number): never {
    const character = this.#text[offset] ?? '';
    return this.#fail(offset, `the character ${character} has no meaning here; put text that holds it in quotes`);
  }

  #fail(offset: number, why: string): never {
    throw invalidAt({ source: this.#source, offset }, why);
  }
}

/** As Java reads a `long` or a `double`: whole numbers beyond 64 bits are text. */
export function isNumber(text: string): boolean {
  if (/[.eE]/.test(text)) return /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text);
  // 19 digits and leading zeros decide most of it; a number of a million digits must not reach BigInt.
  if (!/^-?\d+$/.test(text)) return false;
  const digits = text.replace(/^-?0*/, '');
  return digits.length < 19 || (digits.length === 19 && BigInt.asIntN(64, BigInt(text)) === BigInt(text));
}
