import { OffloadError } from '../errors.ts';
import type { FileFormat } from './formats.ts';
import type { FileSource } from './job.ts';
import type { Environment } from './options.ts';
import { parseReaderOptions } from './readerOptions.ts';
import { type PathValues, resolvePath } from './templates.ts';

/**
 * The files a job loads: paths separated by commas, each a file, a folder or a glob.
 *
 * @param where Option or key that names them.
 * @param base Absolute: relative paths are taken from here.
 * @throws OffloadError USAGE naming the option.
 */
export function resolveFileSource(
  request: {
    readonly path: string;
    readonly where: string;
    readonly base: string;
    readonly format: FileFormat;
    readonly options: Readonly<Record<string, string>>;
  },
  values: PathValues,
  environment: Environment,
): FileSource {
  const { path, where, base, format, options } = request;
  const parts = splitPaths(path);
  if (parts.length === 0) throw new OffloadError('USAGE', `${where} is empty; name a file, a folder or a glob`);
  const paths = parts.map((part) => resolvePath(part, where, values, environment, base));
  return { kind: 'files', paths: [...new Set(paths)], input: parseReaderOptions(format, options) };
}

/** At commas, those in the braces of a glob excepted: `a,b/{c,d}.csv` is two. */
function splitPaths(text: string): string[] {
  return (text.match(/(?:\{\{[^}]*\}\}|\$\{[^}]*\}|\{[^}]*\}|[^,])+/g) ?? [])
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
