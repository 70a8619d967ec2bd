/** Which files of a folder streams have written: as the entries of their chains tell. */
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isObject, parseJson } from '../commit/shapes.ts';
import { OffloadError } from '../errors.ts';
import { type FileSystem, systemCode, unlessAbsent } from '../io.ts';
import { ENTRY_IN_FOLDER, PACKS_FOLDER, parseEntryName, parsePackName, streamsFolder } from './chainNames.ts';
import { isPathBelow, listFolder, toAbsolute } from './manifest.ts';

/** Whose files those of a stream are: no config has a name with a blank. */
export function ownerOfStream(group: string): string {
  return `group ${group}`;
}

/**
 * Every file that an entry names.
 *
 * @returns Owner by absolute path.
 * @throws OffloadError TARGET_UNSUITABLE naming what cannot be read: its files would look like a stranger's.
 */
export async function listChainFiles(fs: FileSystem, root: string): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  const base = streamsFolder(resolve(root));
  for (const folder of await listFolder(fs, base)) {
    const chain = join(base, folder);
    for (const name of await listFolder(fs, chain)) {
      if (parseEntryName(name) === null) continue;
      const bytes = await readEntryBytes(fs, join(chain, name));
      // One that was folded meanwhile stands in a pack by now.
      if (bytes) addFiles(owners, root, join(chain, name), bytes);
    }
    for (const name of await listFolder(fs, join(chain, PACKS_FOLDER))) {
      if (parsePackName(name) === null) continue;
      const path = join(chain, PACKS_FOLDER, name);
      addFiles(owners, root, path, await promisify(gunzip)(await fs.readFile(path)).catch(() => Buffer.from('?')));
    }
  }
  return owners;
}

/** Where there are no hard links, an entry is a folder. */
export async function readEntryBytes(fs: FileSystem, path: string): Promise<Buffer | null> {
  try {
    return await unlessAbsent(fs.readFile(path));
  } catch (error) {
    if (systemCode(error) !== 'EISDIR') throw error;
    return unlessAbsent(fs.readFile(join(path, ENTRY_IN_FOLDER)));
  }
}

function addFiles(owners: Map<string, string>, root: string, path: string, lines: Buffer): void {
  for (const line of lines.toString('utf8').trimEnd().split('\n')) {
    const entry = parseJson(line);
    const isEntry = isObject(entry) && typeof entry.group === 'string' && Array.isArray(entry.files);
    const files: readonly unknown[] = isEntry ? (entry.files as readonly unknown[]) : [null];
    for (const file of files) {
      if (!isEntry || !isObject(file) || !isPathBelow(file.path)) {
        throw new OffloadError(
          'TARGET_UNSUITABLE',
          `cannot tell which files are kafkaload's: ${path} holds no entries of a stream; restore it or move it away`,
          { context: { path } },
        );
      }
      owners.set(toAbsolute(root, String(file.path)), ownerOfStream(String(entry.group)));
    }
  }
}
