import { type Token, tokenize } from './lexer.ts';
import { describe, isPathPart, parsePath } from './paths.ts';
import { invalidAt, LIMITS, type Source } from './source.ts';
import type { Document, FieldSyntax, IncludeSyntax, ListSyntax, ObjectSyntax, ValueSyntax } from './syntax.ts';
import type { Scalar } from './values.ts';

/**
 * Reads one file. JSON is HOCON; as in the reference library, a JSON file may hold comments and the rest, too.
 *
 * @throws OffloadError CONFIG_INVALID with the place of the first thing that is wrong.
 */
export function parseDocument(source: Source): Document {
  return new Parser(source).parse();
}

class Parser {
  readonly #source: Source;
  readonly #tokens: readonly Token[];
  readonly #includes: IncludeSyntax[] = [];
  #next = 0;
  #depth = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  parse(): Document {
    const first = this.#skipNewlines();
    if (first.kind === '[') this.#fail(first, 'the document must be an object, not a list');
    const root = first.kind === '{' ? this.#parseObject() : this.#parseFields('end');
    const rest = this.#skipNewlines();
    if (rest.kind !== 'end') this.#fail(rest, `after the end of the object stands ${describe(rest)}`);
    return { source: this.#source, root, includes: this.#includes };
  }

  #parseObject(): ObjectSyntax {
    this.#enter(this.#take());
    const object = this.#parseFields('}');
    this.#take();
    this.#depth -= 1;
    return object;
  }

  /** Fields and includes up to the token of kind `end`, which stays. */
  #parseFields(end: '}' | 'end'): ObjectSyntax {
    const entries: (FieldSyntax | IncludeSyntax)[] = [];
    while (this.#skipNewlines().kind !== end) {
      const token = this.#peek();
      const isInclude = token.kind === 'text' && token.text === 'include';
      entries.push(isInclude ? this.#parseInclude() : this.#parseField());
      if (!this.#takeSeparator()) break;
    }
    const last = this.#skipNewlines();
    if (last.kind !== end) {
      this.#fail(last, `${end === '}' ? 'a } or a comma' : 'a comma'} is missing before ${describe(last)}`);
    }
    return { kind: 'objectSyntax', entries };
  }

  #parseField(): FieldSyntax {
    const start = this.#peek();
    const tokens: Token[] = [];
    while (isPathPart(this.#peek())) tokens.push(this.#take());
    if (tokens.length === 0) this.#fail(start, `a key is missing before ${describe(start)}`);
    const path = parsePath(tokens, { source: this.#source, offset: start.offset });
    const separator = this.#skipNewlines();
    if (separator.kind === '{') {
      return { kind: 'field', path, value: this.#parseObject(), appends: false, offset: start.offset };
    }
    if (separator.kind !== ':' && separator.kind !== '=' && separator.kind !== '+=') {
      this.#fail(separator, `"=" or ":" is missing after the key, before ${describe(separator)}`);
    }
    this.#take();
    return { kind: 'field', path, value: this.#parseValue(), appends: separator.kind === '+=', offset: start.offset };
  }

  #parseList(): ListSyntax {
    this.#enter(this.#take());
    const items: ValueSyntax[] = [];
    while (this.#skipNewlines().kind !== ']') {
      items.push(this.#parseValue());
      if (!this.#takeSeparator()) break;
    }
    const last = this.#skipNewlines();
    if (last.kind !== ']') this.#fail(last, `a ] or a comma is missing before ${describe(last)}`);
    this.#take();
    this.#depth -= 1;
    return { kind: 'listSyntax', items };
  }

  /** One value, or all that stand side by side up to the end of the line. */
  #parseValue(): ValueSyntax {
    const start = this.#skipNewlines();
    const first = this.#parsePart();
    if (first === null) return this.#fail(start, `a value is missing before ${describe(start)}`);
    const parts: ValueSyntax[] = [first];
    for (;;) {
      const [previous, token] = [this.#tokens[this.#next - 1], this.#peek()];
      const isSpaceKept = token.space !== '' && previous !== undefined && isSimple(previous) && isSimple(token);
      const part = this.#parsePart();
      if (part === null) break;
      if (isSpaceKept) parts.push(scalarOf('string', token.space, false));
      parts.push(part);
    }
    return parts.length === 1 ? first : { kind: 'concatenationSyntax', parts, offset: start.offset };
  }

  #parsePart(): ValueSyntax | null {
    const token = this.#peek();
    if (token.kind === '{') return this.#parseObject();
    if (token.kind === '[') return this.#parseList();
    if (!isSimple(token)) return null;
    this.#take();
    const { kind, text, offset, substitution } = token;
    if (substitution !== undefined) return { kind: 'substitutionSyntax', ...substitution, offset };
    if (kind === 'number' || kind === 'boolean' || kind === 'null') return scalarOf(kind, text, false);
    return scalarOf('string', text, kind === 'string');
  }

  /**
   * `include "x"`, `include file("x")`, either of them in `required(...)`. Brackets are characters of unquoted text:
   * `required(file(` is one token.
   */
  #parseInclude(): IncludeSyntax {
    const { offset } = this.#take();
    let opened = 0;
    let required = false;
    let token = this.#skipNewlines();
    if (token.kind === 'text') {
      const match = /^(required\()?(?:(file|url|classpath)\()?$/.exec(this.#gatherText());
      if (match === null) this.#fail(token, 'write include "FILE", include file("FILE") or include required("FILE")');
      if (match?.[2] === 'url' || match?.[2] === 'classpath') {
        this.#fail(token, `include ${match[2]}(...) is not read here: only files are included`);
      }
      required = match?.[1] !== undefined;
      opened = (required ? 1 : 0) + (match?.[2] === undefined ? 0 : 1);
      token = this.#peek();
    }
    if (token.kind !== 'string') this.#fail(token, 'the name of a file to include must stand in quotes');
    this.#take();
    if (opened > 0 && (this.#skipNewlines().kind !== 'text' || this.#gatherText() !== ')'.repeat(opened))) {
      this.#fail(token, `after the name of the file must stand ${')'.repeat(opened)}`);
    }
    const include: IncludeSyntax = { kind: 'include', name: token.text, required, offset };
    this.#includes.push(include);
    return include;
  }

  /** Unquoted texts up to anything else, newlines and white space between them left out. */
  #gatherText(): string {
    let text = '';
    while (this.#peek().kind === 'text') {
      text += this.#take().text;
      const mark = this.#next;
      // A line may end after an opening bracket and before a closing one.
      if (!text.endsWith('(') && this.#skipNewlines().text !== ')') this.#next = mark;
      else this.#skipNewlines();
    }
    return text;
  }

  /** A comma, or a newline in its place; false when neither stands there. */
  #takeSeparator(): boolean {
    const isNewline = this.#peek().kind === 'newline';
    if (this.#skipNewlines().kind !== ',') return isNewline;
    this.#take();
    return true;
  }

  #skipNewlines(): Token {
    while (this.#peek().kind === 'newline') this.#next += 1;
    return this.#peek();
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }

  #enter(token: Token): void {
    this.#depth += 1;
    if (this.#depth > LIMITS.depth) this.#fail(token, `more than ${LIMITS.depth} brackets inside each other`);
  }

  #fail({ offset }: Token, why: string): never {
    throw invalidAt({ source: this.#source, offset }, why);
  }
}

/** A value that keeps the white space between it and another such value. */
function isSimple(token: Token): boolean {
  return isPathPart(token) || token.kind === 'substitution';
}

function scalarOf(type: Scalar['type'], text: string, quoted: boolean): Scalar {
  return { kind: 'scalar', type, text, quoted };
}
