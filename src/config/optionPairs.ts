import { OffloadError } from '../errors.ts';
import { isMapping } from './keySpellings.ts';
import { type LoadedConfig, OWN_KEYS } from './loadConfig.ts';
import { didYouMean } from './nearest.ts';

/**
 * `k=v,k2="v, with commas"`; quotes are single or double, doubled to stand for themselves. JSON values (`{...}`,
 * `[...]`) may hold commas and quotes as they are.
 *
 * @param where The option, for errors.
 * @throws OffloadError USAGE naming the character where reading ended, or a name that stands twice.
 */
export function parsePairs(text: string, where: string): Record<string, string> {
  const pairs = new Map<string, string>();
  const pattern =
    /\s*([^=,\s]+)\s*=\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(?=([{[]))|([^,"'{[][^,"']*|))\s*(?:,|$|(?=[{[]))/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw unreadable(where, at);
    const [, name = '', double, single, bracket, bare = ''] = match;
    let value = double?.replaceAll('""', '"') ?? single?.replaceAll("''", "'") ?? bare.trim();
    if (bracket !== undefined) {
      const end = endOfJson(text, pattern.lastIndex);
      if (end === null) throw unreadable(where, pattern.lastIndex);
      value = text.slice(pattern.lastIndex, end.value);
      pattern.lastIndex = end.next;
    }
    if (pairs.has(name)) throw usage(`${name} stands twice in ${where}`);
    pairs.set(name, value);
  }
  return Object.fromEntries(pairs);
}

/** Where a JSON object or list ends, and where the next pair begins; null when it does not end, or more follows it. */
function endOfJson(text: string, start: number): { value: number; next: number } | null {
  let depth = 0;
  let isText = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (isText) {
      if (character === '\\') at += 1;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth > 0 || isText) continue;
    const rest = /^\s*(?:,|$)/.exec(text.slice(at + 1));
    return rest === null ? null : { value: at + 1, next: at + 1 + rest[0].length };
  }
  return null;
}

/**
 * The options of a top-level block of the configuration file, which `config=NAME` puts under the others. Nested keys
 * are joined by dots.
 *
 * @throws OffloadError USAGE when the file has no such block.
 */
export function blockOptions(loaded: LoadedConfig | null, name: string, where: string): Record<string, string> {
  const block = loaded === null || OWN_KEYS.includes(name) ? undefined : loaded.block(name);
  if (!isMapping(block)) {
    const known = loaded?.blockNames ?? [];
    const has = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    const place =
      loaded === null ? 'there is no configuration file' : `there is no block ${name} in ${loaded.file}; ${has}`;
    throw usage(
      `config=${name} in ${where} names a block at the top of the configuration file, but ${place}${didYouMean(name, known)}`,
    );
  }
  return Object.fromEntries(flattenBlock(block, '', name));
}

function flattenBlock(tree: Readonly<Record<string, unknown>>, prefix: string, where: string): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]): [string, string][] => {
    if (value === null || value === undefined) return [];
    if (isMapping(value)) return flattenBlock(value, `${prefix}${key}.`, where);
    if (!Array.isArray(value)) return [[`${prefix}${key}`, String(value)]];
    throw new OffloadError('CONFIG_INVALID', `${where}.${prefix}${key} must be one value, not a list`);
  });
}

function unreadable(where: string, at: number): OffloadError {
  return usage(`cannot read ${where} at character ${at + 1}; write k=v,k2="v with , in it"`);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
