/**
 * `subscribePattern`: a regular expression of Java, as topic names need them. What JavaScript reads in another way is
 * translated or refused, never taken for something else: a pattern that silently matched less would leave topics out.
 */
import { OffloadError } from '../errors.ts';

/** POSIX classes of Java, for the characters a topic name can have. */
const CLASSES: Readonly<Record<string, string>> = {
  Lower: 'a-z',
  Upper: 'A-Z',
  Alpha: 'A-Za-z',
  Digit: '0-9',
  Alnum: 'A-Za-z0-9',
  ASCII: '\\x00-\\x7F',
  Punct: '!-\\/:-@\\[-`{-~',
};

/** Escapes that mean the same in both languages, as far as names of topics go. */
const SAME_ESCAPES = /^\\(?:[dDwWsSbB]|[1-9]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|k<\w+>|[^A-Za-z0-9])$/;

/** One token: a quotation, a class of Java, an escape, an inline flag at the beginning, or any character. */
const TOKEN = /\\Q([\s\S]*?)(?:\\E|$)|\\([pP])\{(\w+)\}|\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|k<\w+>|[\s\S]|$)|[\s\S]/g;

/**
 * Compiles a pattern that the whole name of a topic must match.
 *
 * @param where Key it was given under, for messages.
 * @throws OffloadError CONFIG_INVALID quoting what cannot be used.
 */
export function compileTopicPattern(pattern: string, where = 'subscribePattern'): RegExp {
  const refuse = (part: string | null): OffloadError => refused(where, pattern, part);
  const flags = pattern.startsWith('(?i)') ? 'i' : '';
  const body = flags === '' ? pattern : pattern.slice('(?i)'.length);
  let inClass = false;
  const source = body.replace(TOKEN, (token: string, quoted?: string, letter?: string, name?: string) => {
    if (quoted !== undefined) return quoted.replace(/[^A-Za-z0-9_]/g, '\\$&');
    if (letter !== undefined) {
      return translateClass(token, { letter, name: name ?? '', inClass }, refuse);
    }
    if (token.startsWith('\\')) {
      if (!SAME_ESCAPES.test(token)) throw refuse(token);
    } else if (token === '[') {
      // A union or an intersection of classes, which JavaScript takes for plain characters.
      if (inClass) throw refuse('a [ within [ ]');
      inClass = true;
    } else if (token === ']') {
      inClass = false;
    }
    return token;
  });
  if (/\[[^\]]*&&/.test(source)) throw refuse('&& within [ ]');
  if (/(?<!\\)\[\^?\]/.test(source)) throw refuse('[] that holds nothing');
  try {
    return new RegExp(`^(?:${source})$`, flags);
  } catch {
    throw refuse(null);
  }
}

function translateClass(
  token: string,
  { letter, name, inClass }: { letter: string; name: string; inClass: boolean },
  refuse: (part: string) => OffloadError,
): string {
  const members = CLASSES[name];
  if (members === undefined || (inClass && letter === 'P')) throw refuse(token);
  if (inClass) return members;
  return letter === 'p' ? `[${members}]` : `[^${members}]`;
}

function refused(where: string, pattern: string, part: string | null): OffloadError {
  const what = part === null ? 'it is no regular expression' : `${part} has no counterpart here`;
  return new OffloadError(
    'CONFIG_INVALID',
    `${where} "${pattern}" cannot be used: ${what}; write it with . [ ] ( ) | ? * + { } and \\., as orders\\..*`,
    { context: { pattern } },
  );
}
