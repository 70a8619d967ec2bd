import { opendir, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { ioError } from '../../errors.ts';
import { systemCode } from '../../io.ts';
import { unsuitable } from './rowErrors.ts';

export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/**
 * Finds the files of a source, sorted by path, each once.
 *
 * Folders are read to any depth. Names in them that begin with `_` or `.` are left out as Spark leaves them out, our own
 * `_kafkaload` among them; a file or folder that a path names itself is read whatever its name. `*`, `?`, `[a-z]` and
 * `{a,b}` are globs; a name that exists is taken as it is before it is tried as one. Folders named `a=1` are read, but
 * give no column.
 *
 * @param paths Files, folders and globs, absolute or seen from `cwd`.
 * @param pathGlobFilter Only files whose name fits it, null for all.
 * @param isWatched Files come and go: a folder or a glob may stand for none, and one that vanishes is left out.
 * @throws OffloadError SOURCE_UNSUITABLE if a path stands for no file; IO_FAILED.
 */
export async function listSourceFiles(
  paths: readonly string[],
  cwd: string,
  pathGlobFilter: string | null = null,
  isWatched = false,
): Promise<SourceFile[]> {
  const filter = pathGlobFilter === null ? null : globExpression(pathGlobFilter);
  const found = new Map<string, SourceFile>();
  for (const path of paths) {
    const absolute = isAbsolute(path) ? resolve(path) : resolve(cwd, path);
    const roots = await expandGlob(absolute);
    if (roots.length === 0 && isWatched && /[*?[{]/.test(path)) continue;
    if (roots.length === 0) throw unsuitable(`cannot read ${path}: there is no such file or folder`, { path });
    const before = found.size;
    let seen = 0;
    for (const root of roots) {
      for await (const file of filesBelow(root, isWatched)) {
        if (filter !== null && !filter.test(file.path.slice(file.path.lastIndexOf(sep) + 1))) continue;
        seen += 1;
        found.set(file.path, file);
      }
    }
    if (found.size === before && seen === 0 && !isWatched) {
      const which = pathGlobFilter === null ? '' : ` whose name fits ${pathGlobFilter}`;
      throw unsuitable(`cannot read ${path}: there are no files in it${which}`, { path });
    }
  }
  return [...found.values()].sort((left, right) => (left.path < right.path ? -1 : 1));
}

async function* filesBelow(path: string, mayVanish: boolean): AsyncGenerator<SourceFile, void, undefined> {
  const info = await stat(path).catch((error: unknown) => {
    if (mayVanish && systemCode(error) === 'ENOENT') return null;
    throw ioError('read', path, error);
  });
  if (info === null) return;
  if (!info.isDirectory()) {
    yield { path, bytes: info.size, modifiedMs: info.mtimeMs };
    return;
  }
  for (const name of await namesIn(path)) if (!isHidden(name)) yield* filesBelow(join(path, name), mayVanish);
}

function isHidden(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.');
}

async function namesIn(path: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const entry of await opendir(path)) names.push(entry.name);
    return names;
  } catch (error) {
    throw ioError('read', path, error);
  }
}

/** The paths that a glob stands for; a path without wildcards, or one that exists, stands for itself. */
async function expandGlob(path: string): Promise<string[]> {
  if (await exists(path)) return [path];
  let paths = [path.startsWith(sep) ? sep : ''];
  for (const part of splitParts(path)) {
    const next: string[] = [];
    for (const parent of paths) {
      const literal = join(parent, part);
      if (!/[*?[{]/.test(part)) {
        if (await exists(literal)) next.push(literal);
        continue;
      }
      const expression = globExpression(part);
      for (const name of await listedNames(parent)) {
        // A wildcard does not stand for a hidden name, as in a shell, and as Spark has it.
        if (expression.test(name) && (!isHidden(name) || part[0] === name[0])) next.push(join(parent, name));
      }
    }
    paths = next;
  }
  return paths;
}

/** A brace may hold a separator: `{a/b,c}` is not supported by Hadoop either, so parts are cut at every one. */
function splitParts(path: string): string[] {
  return path.split(sep).filter((part) => part !== '');
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(systemCode(error))) return false;
    throw ioError('read', path, error);
  }
}

async function listedNames(folder: string): Promise<string[]> {
  try {
    return (await stat(folder)).isDirectory() ? await namesIn(folder) : [];
  } catch (error) {
    throw ioError('read', folder, error);
  }
}

/** A glob of one part of a path as an expression; a bracket or brace that is not closed stands for itself. */
function globExpression(glob: string): RegExp {
  let source = '';
  let braces = 0;
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i] as string;
    const closing = character === '[' ? glob.indexOf(']', i + 2) : -1;
    if (character === '*') source += '.*';
    else if (character === '?') source += '.';
    else if (closing > 0) {
      const set = glob
        .slice(i + 1, closing)
        .replace(/^[!^]/, '^')
        .replace(/\\/g, '\\\\');
      source += `[${set}]`;
      i = closing;
    } else if (character === '{' && glob.indexOf('}', i) > 0) {
      source += '(?:';
      braces += 1;
    } else if (character === '}' && braces > 0) {
      source += ')';
      braces -= 1;
    } else if (character === ',' && braces > 0) source += '|';
    else source += character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  return new RegExp(`^${source}$`, 'su');
}
