import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OffloadError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import type { Environment } from './options.ts';

/** `$${` stands for `${`; the rest must be `${NAME}` or `${NAME:-default}`. */
const VARIABLE = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?:(:-)([^}]*))?\})?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` (for a variable unset or empty, as in a shell) and turns `$${` into `${`.
 * What a variable holds is not looked at again.
 *
 * @param where Option or key the text stands in, for errors; the text itself is never shown, it may be a secret.
 * @throws OffloadError CONFIG_INVALID for a variable that is not set and has no default, or a `${` that is none.
 */
function replaceVariables(text: string, where: string, env: Environment['env']): string {
  return text.replace(VARIABLE, (match, name?: string, hasDefault?: string, fallback?: string) => {
    if (match === '$${') return '${';
    if (name === undefined) {
      throw new OffloadError(
        'CONFIG_INVALID',
        `cannot read the variable in ${where}: write \${NAME} or \${NAME:-default}, and $\${ for the characters themselves`,
      );
    }
    const value = env[name];
    if (hasDefault !== undefined) return value === undefined || value === '' ? (fallback ?? '') : value;
    if (value !== undefined) return value;
    throw new OffloadError(
      'CONFIG_INVALID',
      `the environment variable ${name} in ${where} is not set; set it, or give a default: \${${name}:-default}`,
      { context: { variable: name, key: where } },
    );
  });
}

/** `replaceVariables` on every string of a tree of mappings and lists; keys stay as they are. */
export function replaceVariablesInTree(tree: unknown, env: Environment['env'], path: readonly string[] = []): unknown {
  if (typeof tree === 'string') return replaceVariables(tree, path.join('.'), env);
  if (Array.isArray(tree)) {
    return tree.map((item, index) => {
      const parent = path.at(-1) ?? '';
      return replaceVariablesInTree(item, env, [...path.slice(0, -1), `${parent}[${index}]`]);
    });
  }
  if (typeof tree !== 'object' || tree === null) return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [key, replaceVariablesInTree(value, env, [...path, key])]),
  );
}

/** What `{{name}}` stands for in a path, as far as it is known. */
export interface PathValues {
  readonly config?: string;
  readonly topic?: string;
}

/**
 * Turns what a user wrote as a path into an absolute one: variables, then `{{config}}`, `{{topic}}`, `{{date}}` (the
 * day of the run's start in UTC, `yyyy-mm-dd`), then the base in front of a relative path.
 *
 * @param where Option or key, for errors.
 * @param base Absolute; the working directory where nothing else is named.
 * @throws OffloadError USAGE for an unknown `{{name}}` or a path that is not on a local disk.
 */
export function resolvePath(
  text: string,
  where: string,
  values: PathValues,
  environment: Environment,
  base = environment.cwd,
): string {
  const known: Readonly<Record<string, string>> = { ...values, date: environment.now.toISOString().slice(0, 10) };
  const path = replaceVariables(text, where, environment.env).replace(
    /\{\{\s*(.*?)\s*\}\}/g,
    (_match, name: string) => {
      const value = Object.hasOwn(known, name) ? known[name] : undefined;
      if (value !== undefined) return value;
      const names = Object.keys(known).map((each) => `{{${each}}}`);
      throw new OffloadError(
        'USAGE',
        `unknown {{${name}}} in ${where} "${text}"; known: ${names.join(', ')}${didYouMean(`{{${name}}}`, names)}`,
      );
    },
  );
  if (path.trim() === '') throw new OffloadError('USAGE', `${where} is empty; name a file or folder`);
  return toLocalPath(path, where, base);
}

function toLocalPath(path: string, where: string, base: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(path)?.[1]?.toLowerCase();
  if (scheme === undefined) return resolve(base, path);
  try {
    if (scheme === 'file') return fileURLToPath(path);
  } catch {
    // Another host, or an escaped slash: not a path here either.
  }
  throw new OffloadError(
    'USAGE',
    `${where} "${path}" is not a path on a local disk, which is all this version reads and writes`,
  );
}
