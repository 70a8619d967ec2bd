import { readFile } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { OffloadError } from '../errors.ts';
import { DEFAULT_CONF_FILES, SL_ROOT_CONF_FILE } from './defaults.ts';
import { type Deserializers, readDeserializers } from './deserializers.ts';
import { readHocon } from './hocon/readHocon.ts';
import { toText } from './hocon/values.ts';
import { isMapping, unifyKeys } from './keySpellings.ts';
import { didYouMean } from './nearest.ts';
import type { CliOptions, Environment } from './options.ts';
import { type ConfigTree, validateTree } from './schema.ts';
import { replaceVariablesInTree } from './templates.ts';

/** Keys at the top that are no blocks of options. */
export const OWN_KEYS: readonly string[] = ['kafka', 'connections'];

export interface LoadedConfig {
  /** The file as the user knows it, for messages. */
  readonly file: string;
  readonly tree: ConfigTree;
  /** Modules that fields can call. */
  readonly deserializers: Deserializers;
  /** Names of the blocks of options at the top, beside `kafka` and `connections`. */
  readonly blockNames: readonly string[];
  /**
   * What the file says at a path (`connections`, `csv.strict`), variables replaced; undefined when there is nothing.
   * Read only where it is named: it may belong to other commands, with variables of theirs.
   */
  readonly block: (path: string) => unknown;
}

/** A document, before anything is known of its shape. */
interface Document {
  readonly file: string;
  readonly root: unknown;
  /** Whether other commands read the file too, and may have any keys at its top. */
  readonly isShared: boolean;
  readonly replaceVariables: (tree: unknown, path: readonly string[]) => unknown;
}

/**
 * Finds, reads and validates the configuration file: `--conf`, else `KAFKALOAD_CONF`, else the first of the default
 * files in the working directory, else the one below `SL_ROOT`. A `.conf` is HOCON, everything else YAML or JSON.
 *
 * Environment variables are replaced: in HOCON by its own substitutions, elsewhere in every value.
 *
 * @throws OffloadError CONFIG_INVALID, naming the file and the key or the line; never with a value in it.
 */
export async function loadConfig(options: Pick<CliOptions, 'conf'>, environment: Environment): Promise<LoadedConfig> {
  const document = await readFirst(options, environment);
  if (document !== null) return interpret(document);
  throw invalid(
    `there is no configuration file in ${environment.cwd} (looked for ${defaultFiles(environment).join(', ')}); ` +
      'name one with --conf FILE or KAFKALOAD_CONF',
  );
}

/** The same for what can do without: null when no file is named and none is there. */
export async function loadConfigIfAny(
  options: Pick<CliOptions, 'conf'>,
  environment: Environment,
): Promise<LoadedConfig | null> {
  const document = await readFirst(options, environment);
  return document && interpret(document);
}

function interpret(document: Document): LoadedConfig {
  const { file, root, replaceVariables } = document;
  const tree = validateTree(file, unifyKeys(file, replaceVariables(ownPart(document), [])));
  return {
    file,
    tree,
    deserializers: readDeserializers(file, tree.kafka.customDeserializers ?? {}),
    blockNames: isMapping(root)
      ? Object.keys(root).filter((key) => !OWN_KEYS.includes(key) && isMapping(root[key]))
      : [],
    block: (path) => {
      const keys = path.split('.');
      // A quoted key may hold dots itself.
      const whole = isMapping(root) && Object.hasOwn(root, path) ? root[path] : undefined;
      return replaceVariables(whole ?? descend(root, keys), keys);
    },
  };
}

async function readFirst(options: Pick<CliOptions, 'conf'>, environment: Environment): Promise<Document | null> {
  const { env, cwd } = environment;
  const named = options.conf ?? (env.KAFKALOAD_CONF || undefined);
  if (named !== undefined) {
    const by = options.conf === undefined ? 'KAFKALOAD_CONF' : '--conf';
    const document = await readDocument(named, environment);
    if (document === null) throw invalid(`there is no file ${resolve(cwd, named)}, which ${by} names`);
    return document;
  }
  for (const file of defaultFiles(environment)) {
    const document = await readDocument(file, environment);
    if (document !== null) return document;
  }
  return null;
}

function defaultFiles({ env }: Environment): string[] {
  return [...DEFAULT_CONF_FILES, ...(env.SL_ROOT ? [join(env.SL_ROOT, SL_ROOT_CONF_FILE)] : [])];
}

/** What a file says, with every scalar as text; null when there is no such file. */
async function readDocument(file: string, { env, cwd }: Environment): Promise<Document | null> {
  if (extname(file) === '.conf') {
    const tree = await readHocon(file, { env, cwd });
    return tree === null ? null : { file, root: toText(tree), isShared: true, replaceVariables: (part) => part };
  }
  const text = await readText(cwd, file);
  if (text === null) return null;
  const tree = parseYaml(file, text);
  const replaceVariables: Document['replaceVariables'] = (part, path) => replaceVariablesInTree(part, env, path);
  const isShared = basename(file) === basename(SL_ROOT_CONF_FILE);
  const root = isShared && isMapping(tree) ? (tree.application ?? {}) : tree;
  return { file, root, isShared, replaceVariables };
}

/**
 * The part that is validated. Other keys at the top are those of other commands, or blocks of options that
 * `config=NAME` refers to: left alone, variables and all. In a file of our own what is no such block is a mistake, and
 * so is a name like `kafka` where that is missing.
 */
function ownPart({ root, isShared }: Document): unknown {
  if (!isMapping(root)) return root;
  const isOurs = (key: string, value: unknown): boolean => {
    if (key === 'kafka') return true;
    if (isShared || key === 'connections') return false;
    return !isMapping(value) || (!Object.hasOwn(root, 'kafka') && didYouMean(key, ['kafka']) !== '');
  };
  return Object.fromEntries(Object.entries(root).filter(([key, value]) => isOurs(key, value)));
}

function descend(tree: unknown, keys: readonly string[]): unknown {
  return keys.reduce((node, key) => (isMapping(node) && Object.hasOwn(node, key) ? node[key] : undefined), tree);
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
