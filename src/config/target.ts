import { stat } from 'node:fs/promises';
import { ioError, OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import { type FileFormat, WRITE_MODES } from './formats.ts';
import type { TargetSettings, WriteMode } from './job.ts';
import { didYouMean } from './nearest.ts';
import type { Environment } from './options.ts';
import { parsePartitionBy } from './partitionBy.ts';
import { type PathValues, resolvePath } from './templates.ts';
import { parseWriterOptions } from './writerOptions.ts';

/** Where files go, as it was written; nobody has judged the texts yet. */
export interface TargetRequest {
  readonly path: string;
  /** Option or key that names the path. */
  readonly where: string;
  /** Absolute: relative paths are taken from here. */
  readonly base: string;
  readonly format: FileFormat;
  readonly mode: string | undefined;
  /** Option or key of the mode. */
  readonly modeWhere: string;
  readonly coalesce: string | undefined;
  /** `--write-partition-by`. */
  readonly partitionBy: string | undefined;
  readonly options: Readonly<Record<string, string>>;
}

/**
 * The files a job writes.
 *
 * @param values What `{{name}}` in the path stands for.
 * @throws OffloadError USAGE naming the option and what would be right; TARGET_UNSUITABLE when something else than what
 *   is needed stands at the path already.
 */
export async function resolveTarget(
  request: TargetRequest,
  values: PathValues,
  environment: Environment,
): Promise<TargetSettings> {
  const { where } = request;
  const coalesce = parseCoalesce(request.coalesce);
  const partitionBy = request.partitionBy === undefined ? [] : parsePartitionBy(request.partitionBy);
  // With folders below it, 1 is one file in each.
  const kind = coalesce === 1 && partitionBy.length === 0 ? 'file' : 'folder';
  const path = resolvePath(request.path, where, values, environment, request.base);
  if (kind === 'file' && /[/\\]$/.test(request.path)) {
    throw usage(`${where} "${request.path}" ends like a folder; with --write-coalesce 1 it must name the file`);
  }
  const mode = parseWriteMode(request.mode, request.modeWhere);
  const output = parseWriterOptions(request.format, request.options, partitionBy.length > 0);
  await checkPlace(path, kind, where);
  return { path, kind, mode, coalesce, partitionBy, output };
}

function parseWriteMode(text: string | undefined, where: string): WriteMode {
  if (text === undefined) return DEFAULTS.writeMode;
  const mode = WRITE_MODES.find((each) => each.toLowerCase() === text.toLowerCase());
  if (mode !== undefined) return mode;
  throw usage(`unknown ${where} ${text}; one of ${WRITE_MODES.join(', ')}${didYouMean(text, WRITE_MODES)}`);
}

function parseCoalesce(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,6}$/.test(text) && Number(text) >= 1) return Number(text);
  throw usage(`--write-coalesce ${text} is no number of files; write 1 for exactly the file named, or more`);
}

/** What stands at the path now must be of the kind needed, or nothing. */
async function checkPlace(path: string, kind: TargetSettings['kind'], where: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    if (error.code !== 'ENOTDIR') throw ioError('look at', path, error);
    throw unsuitable(`${where} ${path} cannot be written: a part of it is a file, not a folder`, path);
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
