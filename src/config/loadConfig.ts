import { readFile } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { OffloadError } from '../errors.ts';
import { DEFAULT_CONF_FILES, SL_ROOT_CONF_FILE } from './defaults.ts';
import { readHocon } from './hocon/readHocon.ts';
import { toText } from './hocon/values.ts';
import { isMapping, OWN_KEYS, unifyKeys } from './keySpellings.ts';
import type { CliOptions, Environment } from './options.ts';
import { type ConfigTree, validateTree } from './schema.ts';
import { replaceVariablesInTree } from './templates.ts';

export interface LoadedConfig {
  /** The file as the user knows it, for messages. */
  readonly file: string;
  readonly tree: ConfigTree;
}

/**
 * Finds, reads and validates the configuration file: `--conf`, else `KAFKALOAD_CONF`, else the first of the default
 * files in the working directory, else the one below `SL_ROOT`. A `.conf` is HOCON, everything else YAML or JSON.
 *
 * Environment variables are replaced: in HOCON by its own substitutions, elsewhere in every value.
 *
 * @throws OffloadError CONFIG_INVALID, naming the file and the key or the line; never with a value in it.
 */
export async function loadConfig(options: CliOptions, environment: Environment): Promise<LoadedConfig> {
  const { file, tree } = await readFirst(options, environment);
  return { file, tree: validateTree(file, unifyKeys(file, tree)) };
}

async function readFirst(options: CliOptions, environment: Environment): Promise<{ file: string; tree: unknown }> {
  const { env, cwd } = environment;
  const named = options.conf ?? (env.KAFKALOAD_CONF || undefined);
  if (named !== undefined) {
    const by = options.conf === undefined ? 'KAFKALOAD_CONF' : '--conf';
    const tree = await readTree(named, environment);
    if (tree === null) throw invalid(`there is no file ${resolve(cwd, named)}, which ${by} names`);
    return { file: named, tree: tree.value };
  }
  const files = [...DEFAULT_CONF_FILES, ...(env.SL_ROOT ? [join(env.SL_ROOT, SL_ROOT_CONF_FILE)] : [])];
  for (const file of files) {
    const tree = await readTree(file, environment);
    if (tree !== null) return { file, tree: tree.value };
  }
  throw invalid(
    `there is no configuration file in ${cwd} (looked for ${files.join(', ')}); ` +
      'name one with --conf FILE or KAFKALOAD_CONF',
  );
}

/** What a file says, with every scalar as text; null when there is no such file. */
async function readTree(file: string, { env, cwd }: Environment): Promise<{ value: unknown } | null> {
  if (extname(file) === '.conf') {
    const tree = await readHocon(file, { env, cwd });
    return tree === null ? null : { value: ownPart(toText(tree)) };
  }
  const text = await readText(cwd, file);
  if (text === null) return null;
  const tree = parseYaml(file, text);
  if (basename(file) !== basename(SL_ROOT_CONF_FILE)) return { value: replaceVariablesInTree(tree, env) };
  const application = isMapping(tree) ? (tree.application ?? {}) : tree;
  return { value: replaceVariablesInTree(ownPart(application), env) };
}

/** Other keys at the top are those of other commands, or what substitutions refer to: left alone, variables and all. */
function ownPart(tree: unknown): unknown {
  if (!isMapping(tree)) return tree;
  return Object.fromEntries(OWN_KEYS.filter((key) => Object.hasOwn(tree, key)).map((key) => [key, tree[key]]));
}

async function readText(cwd: string, file: string): Promise<string | null> {
  try {
    return await readFile(resolve(cwd, file), 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const why = code === 'EISDIR' ? 'it is a folder' : code === 'EACCES' ? 'permission denied' : code;
    throw invalid(`cannot read the configuration file ${resolve(cwd, file)}: ${why}`);
  }
}

/**
 * YAML (JSON is YAML) with every scalar as the text that was written: a password `0123` stays as it is, and numbers
 * and booleans are judged where their key is known. Only a bare `null`, `~` or nothing is null.
 *
 * The library's own messages quote the file, and so a secret in it: each is replaced by the place and a plain reason.
 */
function parseYaml(file: string, text: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ''), {
    lineCounter,
    schema: 'failsafe',
    customTags: ['null'],
    merge: true,
    prettyErrors: false,
    stringKeys: true,
    logLevel: 'silent',
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw invalid(
      `${file} is not valid YAML at line ${line}, column ${col}: ${REASONS[problem.code] ?? 'wrong syntax'}`,
    );
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw invalid(`${file} is not valid YAML: it has an alias (*name) without its anchor (&name), or too many of them`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  BAD_DQ_ESCAPE: 'unknown escape in a "quoted" text; use single quotes for text with backslashes',
  BAD_INDENT: 'wrong indentation, or a bracket that is never closed',
  BAD_SCALAR_START: 'a value cannot begin with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ":" in one line; put the value in quotes',
  DUPLICATE_KEY: 'this key stands there twice',
  MISSING_CHAR: 'a quote, colon, comma or bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'a ":" is missing, or a quote is never closed',
  MULTIPLE_DOCS: 'a second document begins; only one is read',
  NON_STRING_KEY: 'a key must be text',
  TAB_AS_INDENT: 'tabs cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'tags (!name) are not known here; put a value that begins with ! in quotes',
  UNEXPECTED_TOKEN: 'something stands here that does not belong; put text with special characters in quotes',
};

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
