import { resolve } from 'node:path';
import { loadDocuments, readSource } from './includes.ts';
import { resolveTree } from './resolver.ts';
import { invalidAt, LIMITS, type Source } from './source.ts';
import { buildTree } from './tree.ts';
import type { ObjectValue } from './values.ts';

export interface HoconOptions {
  /** Environment variables, which substitutions fall back to. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute folder that relative names of files are taken from. */
  readonly cwd: string;
}

/**
 * Reads a configuration file in HOCON: comments, merged keys, substitutions, includes of files beside it. Nothing in it
 * is executed, and nothing but files is read.
 *
 * @param file Absolute or relative to `cwd`; messages name it so.
 * @returns The resolved tree, in the order in which keys were first set; null when there is no such file.
 * @throws OffloadError CONFIG_INVALID in one line with file, line and column.
 * @see https://github.com/lightbend/config/blob/main/HOCON.md
 */
export async function readHocon(file: string, options: HoconOptions): Promise<ObjectValue | null> {
  const source = await readSource({ name: file, path: resolve(options.cwd, file) }, 'HOCON');
  return source === null ? null : resolveSource(source, options);
}

/** `readHocon` for a text, as if it were read from `file`. */
export function parseHocon(text: string, file: string, options: HoconOptions): Promise<ObjectValue> {
  return resolveSource({ name: file, format: 'HOCON', text }, options);
}

async function resolveSource(source: Source, { env, cwd }: HoconOptions): Promise<ObjectValue> {
  const start = { source, offset: 0 };
  if (source.text.length > LIMITS.characters) throw invalidAt(start, `more than ${LIMITS.characters} characters`);
  const { root, included } = await loadDocuments(source, resolve(cwd, source.name));
  return resolveTree(buildTree(root, included), env, start);
}
