import { isNumber } from './lexer.ts';
import { invalidAt, LIMITS, type Place, type Source } from './source.ts';
import type { Document, FieldSyntax } from './syntax.ts';
import { type Scalar, stringOf } from './values.ts';

/** A line with what continues it: a line break after an odd number of backslashes does not end it. */
const LOGICAL_LINE = /[ \t\f]*([#!][^\r\n]*|(?:\\(?:\r\n|.)|[^\\\r\n])*)(?:\r\n|\r|\n|$)/sy;
/** A key ends at the first `=`, `:` or white space that has no backslash before it. */
const KEY_AND_VALUE = /^((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)$/s;
const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/**
 * Reads a Java properties file. Dots divide a key. A key that is also the beginning of a longer one gives way to it, and
 * what looks like a number or a boolean is one, as with the reference library.
 *
 * @throws OffloadError CONFIG_INVALID for an escape that is none.
 */
export function parseProperties(source: Source): Document {
  const fields: FieldSyntax[] = [];
  let offset = 0;
  while (offset < source.text.length) {
    LOGICAL_LINE.lastIndex = offset;
    const match = LOGICAL_LINE.exec(source.text);
    const line = match?.[1] ?? '';
    if (line !== '' && !/^[#!]/.test(line)) fields.push(parseLine(line, { source, offset }));
    offset = match === null || LOGICAL_LINE.lastIndex === offset ? source.text.length : LOGICAL_LINE.lastIndex;
  }
  // Later fields win: the longer keys come last.
  const entries = fields.sort((left, right) => left.path.length - right.path.length);
  return { source, root: { kind: 'objectSyntax', entries }, includes: [] };
}

function parseLine(line: string, place: Place): FieldSyntax {
  const [, key = '', value = ''] = KEY_AND_VALUE.exec(line.replace(/\\(?:\r\n|\r|\n)[ \t\f]*/g, '')) ?? [];
  const path = replaceEscapes(key, place).split('.');
  if (path.length > LIMITS.depth) throw invalidAt(place, `a key has more than ${LIMITS.depth} parts`);
  return { kind: 'field', path, value: scalarOf(replaceEscapes(value, place)), appends: false, offset: place.offset };
}

function scalarOf(text: string): Scalar {
  const type = isNumber(text) ? 'number' : text === 'true' || text === 'false' ? 'boolean' : null;
  return type === null ? stringOf(text) : { kind: 'scalar', type, text, quoted: false };
}

function replaceEscapes(text: string, place: Place): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gs, (_match, code?: string, character = '') => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    if (character === 'u') throw invalidAt(place, 'four hexadecimal digits are missing after \\u');
    return ESCAPES[character] ?? character;
  });
}
