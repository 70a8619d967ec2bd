import { stat } from 'node:fs/promises';
import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import type { ParquetCompression, TargetSettings, WriteMode } from './job.ts';
import { didYouMean } from './nearest.ts';
import type { CliOptions, Environment } from './options.ts';
import { parseSize, SIZE_EXAMPLES } from './sizes.ts';
import { resolvePath } from './templates.ts';

const WRITE_MODES: readonly WriteMode[] = ['Append', 'Overwrite', 'ErrorIfExists', 'Ignore'];
const COMPRESSIONS: readonly ParquetCompression[] = ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'];
const WRITE_OPTIONS = ['compression', 'rowGroupRows', 'rowGroupBytes'] as const;

/** What the entry of the configuration says about the target. */
export interface TargetEntry {
  readonly config: string;
  readonly topic: string;
  /** `writeFormat` of the topic, and its full key. */
  readonly writeFormat: string | null;
  readonly writeFormatWhere: string;
}

/**
 * Where the rows go: `--write-path`, or `--path` when it stands alone, with the options of writing.
 *
 * @throws OffloadError USAGE naming the option and what would be right; TARGET_UNSUITABLE when something else than what
 *   is needed stands at the path already.
 */
export async function resolveTarget(
  options: CliOptions,
  entry: TargetEntry,
  environment: Environment,
): Promise<TargetSettings> {
  const coalesce = parseCoalesce(options.writeCoalesce);
  const kind = coalesce === 1 ? 'file' : 'folder';
  const format = resolveFormat(options, entry);
  const { text, where } = choosePath(options, entry, environment);
  const path = resolvePath(text, where, { config: entry.config, topic: entry.topic }, environment);
  if (kind === 'file' && /[/\\]$/.test(text)) {
    throw usage(`${where} "${text}" ends like a folder; with --write-coalesce 1 it must name the file`);
  }
  await checkPlace(path, kind, where);
  return {
    path,
    kind,
    format,
    mode: parseWriteMode(options.writeMode),
    coalesce,
    parquet: parseWriteOptions(options.writeOptions),
  };
}

/** Either option, or both when they say the same. */
function choosePath(
  options: CliOptions,
  entry: TargetEntry,
  environment: Environment,
): { text: string; where: string } {
  const { path, writePath } = options;
  const names = { config: entry.config, topic: entry.topic };
  if (writePath !== undefined && path !== undefined) {
    const [left, right] = [path, writePath].map((text) => resolvePath(text, '--path', names, environment));
    if (left !== right) {
      throw usage(
        `--path "${path}" and --write-path "${writePath}" name different targets for --config ${entry.config}; ` +
          'keep --write-path',
      );
    }
  }
  if (writePath !== undefined) return { text: writePath, where: '--write-path' };
  if (path !== undefined) return { text: path, where: '--path' };
  throw usage(`--write-path is missing: the folder (or, with --write-coalesce 1, the file) for topic ${entry.topic}`);
}

function resolveFormat(options: CliOptions, entry: TargetEntry): 'parquet' {
  const { format, writeFormat } = options;
  // With --write-path, --format is the source's, and that is a topic.
  const targetFormat = options.path === undefined && format?.toLowerCase() === 'kafka' ? undefined : format;
  if (targetFormat !== undefined && options.path === undefined) {
    throw usage(`--format ${targetFormat} says how --path is written, which is not given; use --write-format`);
  }
  const named = [
    { name: writeFormat, where: '--write-format' },
    { name: targetFormat, where: '--format' },
    { name: entry.writeFormat ?? undefined, where: entry.writeFormatWhere },
  ].filter((each) => each.name !== undefined);
  const [first, second] = named;
  if (second?.where === '--format' && first?.name?.toLowerCase() !== second.name?.toLowerCase()) {
    throw usage(`--write-format ${first?.name} and --format ${second.name} differ; keep --write-format`);
  }
  if (first !== undefined && first.name?.toLowerCase() !== DEFAULTS.format) {
    throw usage(`${first.where} ${first.name} is not in this version, which writes ${DEFAULTS.format}`);
  }
  return DEFAULTS.format;
}

function parseWriteMode(text: string | undefined): WriteMode {
  if (text === undefined) return DEFAULTS.writeMode;
  const mode = WRITE_MODES.find((each) => each.toLowerCase() === text.toLowerCase());
  if (mode !== undefined) return mode;
  throw usage(`unknown --write-mode ${text}; one of ${WRITE_MODES.join(', ')}${didYouMean(text, WRITE_MODES)}`);
}

function parseCoalesce(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,6}$/.test(text) && Number(text) >= 1) return Number(text);
  throw usage(`--write-coalesce ${text} is no number of files; write 1 for exactly the file named, or more`);
}

function parseWriteOptions(text: string | undefined): TargetSettings['parquet'] {
  const given = parsePairs(text ?? '', '--write-options');
  for (const name of given.keys()) {
    if (WRITE_OPTIONS.some((known) => known === name)) continue;
    throw usage(
      `unknown option ${name} in --write-options; known for parquet: ${WRITE_OPTIONS.join(', ')}` +
        didYouMean(name, WRITE_OPTIONS),
    );
  }
  const { compression, rowGroupRows, rowGroupBytes } = DEFAULTS;
  return {
    compression: parseCompression(given.get('compression') ?? compression),
    rowGroupRows: parseRows(given.get('rowGroupRows') ?? String(rowGroupRows)),
    rowGroupBytes: parseBytes(given.get('rowGroupBytes') ?? String(rowGroupBytes)),
  };
}

function parseCompression(text: string): ParquetCompression {
  const word = text.toLowerCase();
  const compression = word === 'uncompressed' ? 'none' : COMPRESSIONS.find((each) => each === word);
  if (compression !== undefined) return compression;
  throw usage(`compression=${text} in --write-options is unknown; one of ${COMPRESSIONS.join(', ')}`);
}

function parseRows(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) <= 2 ** 31 - 1) return Number(text);
  throw usage(`rowGroupRows=${text} in --write-options is no number of rows from 1 to ${2 ** 31 - 1}`);
}

function parseBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null) return bytes;
  throw usage(`rowGroupBytes=${text} in --write-options is no size; write it as ${SIZE_EXAMPLES}`);
}

/** `k=v,k2="v, with commas"`; quotes are single or double, doubled to stand for themselves. */
function parsePairs(text: string, where: string): Map<string, string> {
  const pairs = new Map<string, string>();
  const pattern = /\s*([^=,\s]+)\s*=\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^,"']*))\s*(?:,|$)/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw usage(`cannot read ${where} at character ${at + 1}; write k=v,k2="v with , in it"`);
    const [, name = '', double, single, bare = ''] = match;
    if (pairs.has(name)) throw usage(`${name} stands twice in ${where}`);
    pairs.set(name, double?.replaceAll('""', '"') ?? single?.replaceAll("''", "'") ?? bare.trim());
  }
  return pairs;
}

/** What stands at the path now must be of the kind needed, or nothing. */
async function checkPlace(path: string, kind: TargetSettings['kind'], where: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    const why = error.code === 'ENOTDIR' ? 'a part of it is a file, not a folder' : (error.code ?? error.message);
    throw unsuitable(`${where} ${path} cannot be written: ${why}`, path);
  });
  if (found === null) return;
  if (kind === 'file' && found.isDirectory()) {
    throw unsuitable(`${where} ${path} is a folder; --write-coalesce 1 replaces exactly the file named`, path);
  }
  if (kind === 'file' && !found.isFile()) throw unsuitable(`${where} ${path} is not a regular file`, path);
  if (kind === 'folder' && !found.isDirectory()) {
    throw unsuitable(`${where} ${path} is a file where a folder is needed; --write-coalesce 1 writes one file`, path);
  }
}

function unsuitable(message: string, path: string): OffloadError {
  return new OffloadError('TARGET_UNSUITABLE', message, { context: { path } });
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
