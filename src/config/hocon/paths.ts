import type { Token } from './lexer.ts';
import { invalidAt, LIMITS, type Place } from './source.ts';

/**
 * Reads the path of a key or a substitution: dots outside of quotes divide it, white space between its parts counts.
 *
 * @param tokens Parts of one line, without what ends the path.
 * @param place Where it begins, for errors.
 */
export function parsePath(tokens: readonly Token[], place: Place): string[] {
  const path: string[] = [];
  let element = '';
  let wasQuoted = false;
  const finish = () => {
    if (element === '' && !wasQuoted) {
      throw invalidAt(place, 'a path is empty, or has a dot too many; write an empty key as ""');
    }
    path.push(element);
    element = '';
    wasQuoted = false;
  };
  tokens.forEach((token, index) => {
    if (!isPathPart(token)) {
      throw invalidAt({ ...place, offset: token.offset }, `a path cannot hold ${describe(token)}; put it in quotes`);
    }
    if (index > 0) element += token.space;
    if (token.kind === 'string') {
      element += token.text;
      wasQuoted = true;
      return;
    }
    const [first = '', ...others] = token.text.split('.');
    element += first;
    for (const other of others) {
      finish();
      element = other;
    }
  });
  finish();
  if (path.length > LIMITS.depth) throw invalidAt(place, `a path has more than ${LIMITS.depth} keys`);
  return path;
}

export function isPathPart({ kind }: Token): boolean {
  return kind === 'string' || kind === 'text' || kind === 'number' || kind === 'boolean' || kind === 'null';
}

/** A path as it can be written in a file, on one line. */
export function formatPath(path: readonly string[]): string {
  return path.map((key) => (/^[\p{L}\p{N}_-]+$/u.test(key) ? key : JSON.stringify(key))).join('.');
}

/** A token for messages, without what it holds. */
export function describe({ kind }: Token): string {
  const names: Partial<Record<Token['kind'], string>> = {
    string: 'a quoted text',
    text: 'a text',
    number: 'a number',
    boolean: 'true or false',
    substitution: 'a substitution',
    newline: 'the end of the line',
    end: 'the end of the file',
  };
  return names[kind] ?? `"${kind}"`;
}
