/**
 * The properties librdkafka knows, read from the typings that node-rdkafka generates from librdkafka's own list: they
 * belong to the version that is installed, and reading them loads no native code.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

export interface KnownProperty {
  /** What it holds; `callback` cannot be written in a file. */
  readonly type: 'number' | 'boolean' | 'string' | 'callback' | readonly string[];
  /** Whom it is for: every client, or only consumers, producers or topics, which the control path needs none of. */
  readonly scope: 'client' | 'other';
}

/** Read once: source, target and offsets of one job each ask for them. */
let known: Promise<ReadonlyMap<string, KnownProperty>> | null = null;

/** @returns The properties by name; the first scope that has a name wins. */
export function readKnownProperties(): Promise<ReadonlyMap<string, KnownProperty>> {
  known ??= parseTypings();
  return known;
}

async function parseTypings(): Promise<ReadonlyMap<string, KnownProperty>> {
  const typings = await readFile(createRequire(import.meta.url).resolve('node-rdkafka/config.d.ts'), 'utf8');
  const properties = new Map<string, KnownProperty>();
  let scope: KnownProperty['scope'] = 'client';
  for (const line of typings.split('\n')) {
    const opened = /^export interface (\w+)/.exec(line);
    if (opened !== null) scope = opened[1] === 'GlobalConfig' ? 'client' : 'other';
    const [, name, type] = /^\s+"([^"]+)"\?: (.+);$/.exec(line) ?? [];
    if (name === undefined || type === undefined || properties.has(name)) continue;
    properties.set(name, {
      scope,
      type: /_cb$|_data$|^ssl_|_conf$|^opaque$|^interceptors$/.test(name) ? 'callback' : readType(type),
    });
  }
  return properties;
}

function readType(type: string): KnownProperty['type'] {
  if (type === 'number' || type === 'boolean' || type === 'string') return type;
  if (type.includes('Function')) return 'callback';
  // `any` stands for patterns and fractions: text will do.
  if (!type.startsWith("'")) return 'string';
  return type.split('|').map((name) => name.trim().slice(1, -1));
}
