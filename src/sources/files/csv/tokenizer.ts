/**
 * Finds the fields of CSV records in UTF-8 bytes, as Spark does: a quote counts only at the beginning of a field, and the
 * escape only inside quotes, before a quote or another escape. A doubled quote is a quote too, whatever the escape: no
 * well-formed record can mean anything else by it, and most other programs write it so.
 *
 * DuckDB's reader is not used: with Spark's escape it drops every backslash of a quoted field (`"C:\dir"` gives `C:dir`).
 */
import type { CsvInput } from '../../../config/readerOptions.ts';

const LF = 10;
const CR = 13;
const NONE = -1;

const PLAIN = 0;
const QUOTED = 1;
/** Quoted, with escapes to take out. */
const ESCAPED = 2;
/** Text stands behind the closing quote. */
const BROKEN = 3;

export class CsvTokenizer {
  /** Fields of the record that `read` found last; 0 for a line left out. */
  count = 0;
  /** Line of the file the record begins on, from 1. */
  line = 1;
  /** A quoted field of the record has a line end in it. */
  spansLines: boolean = false;
  /** The file ended inside quotes. */
  isUnterminated: boolean = false;
  #nextLine = 1;
  #starts: number[] = [];
  #ends: number[] = [];
  #kinds: number[] = [];
  readonly #sep: Buffer;
  readonly #lineSep: Buffer | null;
  readonly #quote: number;
  readonly #escape: number;
  readonly #comment: number;

  constructor(input: CsvInput) {
    this.#sep = Buffer.from(input.sep);
    this.#lineSep = input.lineSep === null ? null : Buffer.from(input.lineSep);
    this.#quote = codeOf(input.quote);
    this.#escape = codeOf(input.escape);
    this.#comment = codeOf(input.comment);
  }

  /**
   * Finds the record that begins at `start`.
   *
   * @param isLast Nothing comes behind `bytes`.
   * @returns Where the next one begins, or -1 if this one is not complete: then it is read again with more bytes.
   */
  read(bytes: Buffer, start: number, isLast: boolean): number {
    this.count = 0;
    this.line = this.#nextLine;
    this.spansLines = false;
    const end = bytes.length;
    let lines = 1;
    let position = start;
    if (bytes[start] === this.#comment) {
      position = this.#lineEnd(bytes, start);
      if (position === end && !isLast) return NONE;
      this.#nextLine += 1;
      return position === end ? end : position + this.#lineEndBytes(bytes, position, isLast);
    }
    for (;;) {
      let kind = PLAIN;
      let from = position;
      let to = position;
      if (bytes[position] === this.#quote) {
        from = position + 1;
        kind = QUOTED;
        for (position = from; ; ) {
          if (position >= end) {
            this.isUnterminated = isLast;
            return NONE;
          }
          const byte = bytes[position];
          if (byte === this.#quote || byte === this.#escape) {
            if (position + 1 >= end && !isLast) return NONE;
            const next = bytes[position + 1];
            if (next === this.#quote || (next === this.#escape && byte === this.#escape)) {
              kind = ESCAPED;
              position += 2;
              continue;
            }
            if (byte === this.#quote) break;
          }
          if (byte === LF) lines += 1;
          position += 1;
        }
        to = position;
        position += 1;
        this.spansLines ||= lines > 1;
        if (!this.#isFieldEnd(bytes, position) && position < end) {
          if (bytes[position] === CR && position + 1 === end && !isLast) return NONE;
          kind = BROKEN;
          position = this.#fieldEnd(bytes, position);
        }
      } else {
        position = this.#fieldEnd(bytes, position);
        to = position;
      }
      if (position >= end - this.#sep.length - 1 && !isLast && !this.#isSurelyEnd(bytes, position)) return NONE;
      this.#starts[this.count] = from;
      this.#ends[this.count] = to;
      this.#kinds[this.count] = kind;
      this.count += 1;
      if (position >= end) break;
      const lineEndBytes = this.#lineEndBytes(bytes, position, isLast);
      if (lineEndBytes > 0) {
        position += lineEndBytes;
        break;
      }
      position += this.#sep.length;
    }
    this.#nextLine += lines;
    if (this.count === 1 && this.#kinds[0] === PLAIN && this.#starts[0] === this.#ends[0]) this.count = 0;
    return position;
  }

  isBroken(field: number): boolean {
    return this.#kinds[field] === BROKEN;
  }

  /** True where quotes stand around the field. */
  isQuoted(field: number): boolean {
    return this.#kinds[field] !== PLAIN;
  }

  start(field: number): number {
    return this.#starts[field] as number;
  }

  end(field: number): number {
    return this.#ends[field] as number;
  }

  hasEscapes(field: number): boolean {
    return this.#kinds[field] === ESCAPED;
  }

  /** Copies a field without its escapes to `target`, which has room for all of it, and gives the end of the copy. */
  unescape(bytes: Buffer, field: number, target: Buffer, at: number): number {
    const end = this.end(field);
    let to = at;
    for (let from = this.start(field); from < end; from++) {
      const byte = bytes[from];
      if (byte === this.#quote) from += 1;
      else if (byte === this.#escape && (bytes[from + 1] === this.#quote || bytes[from + 1] === this.#escape))
        from += 1;
      target[to++] = bytes[from] as number;
    }
    return to;
  }

  text(bytes: Buffer, field: number): string {
    if (!this.hasEscapes(field)) return bytes.toString('utf8', this.start(field), this.end(field));
    const target = Buffer.allocUnsafe(this.end(field) - this.start(field));
    return target.toString('utf8', 0, this.unescape(bytes, field, target, 0));
  }

  /** The first separator, line end or end of the bytes. */
  #fieldEnd(bytes: Buffer, start: number): number {
    const first = this.#sep[0];
    const lineEnd = this.#lineSep === null ? LF : this.#lineSep[0];
    const end = bytes.length;
    for (let position = start; position < end; position++) {
      const byte = bytes[position];
      if (byte !== first && byte !== lineEnd) continue;
      if (!this.#isFieldEnd(bytes, position)) continue;
      const isCrLf = byte === LF && this.#lineSep === null && position > start && bytes[position - 1] === CR;
      return isCrLf ? position - 1 : position;
    }
    return this.#lineSep === null && end > start && bytes[end - 1] === CR ? end - 1 : end;
  }

  #isFieldEnd(bytes: Buffer, position: number): boolean {
    return startsAt(bytes, position, this.#sep) || this.#lineEndBytes(bytes, position, true) > 0;
  }

  #lineEnd(bytes: Buffer, start: number): number {
    const found = this.#lineSep === null ? bytes.indexOf(LF, start) : bytes.indexOf(this.#lineSep, start);
    return found === -1 ? bytes.length : found;
  }

  /** 0 where no line ends. A carriage return at the very end of a file ends it as well. */
  #lineEndBytes(bytes: Buffer, position: number, isLast: boolean): number {
    if (this.#lineSep !== null) return startsAt(bytes, position, this.#lineSep) ? this.#lineSep.length : 0;
    if (bytes[position] === LF) return 1;
    if (bytes[position] !== CR) return 0;
    if (bytes[position + 1] === LF) return 2;
    return isLast && position + 1 === bytes.length ? 1 : 0;
  }

  /** Whether what ends a field near the end of the bytes at hand cannot turn out to be something else. */
  #isSurelyEnd(bytes: Buffer, position: number): boolean {
    return startsAt(bytes, position, this.#sep) || this.#lineEndBytes(bytes, position, false) > 0;
  }
}

function codeOf(character: string): number {
  return character === '' ? NONE : character.charCodeAt(0);
}

function startsAt(bytes: Buffer, position: number, text: Buffer): boolean {
  if (bytes[position] !== text[0]) return false;
  for (let i = 1; i < text.length; i++) if (bytes[position + i] !== text[i]) return false;
  return true;
}
