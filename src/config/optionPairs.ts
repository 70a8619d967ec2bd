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
  for (let at = 0; at < text.length; ) {
    const name = matchAt(/\s*([^=,\s]+)\s*=\s*/y, text, at);
    if (name === null) throw unreadable(where, at);
    const key = name[1] ?? '';
    const value = readValue(text, at + name[0].length);
    const separator = value && matchAt(/\s*(?:,|$)/y, text, value.end);
    if (!value || !separator) throw unreadable(where, at);
    if (pairs.has(key)) throw usage(`${key} stands twice in ${where}`);
    pairs.set(key, value.text);
    at = value.end + separator[0].length;
  }
  return Object.fromEntries(pairs);
}

interface Value {
  readonly text: string;
  /** Where reading goes on. */
  readonly end: number;
}

/** Null for a quotation or a bracket that is never closed. Each character is looked at once or twice. */
function readValue(text: string, start: number): Value | null {
  const first = text[start];
  if (first === '{' || first === '[') return readJson(text, start);
  if (first === '"' || first === "'") {
    const quoted = matchAt(first === '"' ? /"((?:[^"]|"")*)"/y : /'((?:[^']|'')*)'/y, text, start);
    return quoted && { text: (quoted[1] ?? '').replaceAll(first + first, first), end: start + quoted[0].length };
  }
  const bare = matchAt(/[^,"']*/y, text, start)?.[0] ?? '';
  return { text: bare.trim(), end: start + bare.length };
}

function readJson(text: string, start: number): Value | null {
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
    if (depth === 0 && !isText) return { text: text.slice(start, at + 1), end: at + 1 };
  }
  return null;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
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
