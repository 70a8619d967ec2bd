import { readFile, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { OffloadError } from '../../errors.ts';
import { parseProperties } from './javaProperties.ts';
import { parseDocument } from './parser.ts';
import { invalidAt, LIMITS, type Place, type Source } from './source.ts';
import type { Document, IncludeSyntax } from './syntax.ts';

/** Later ones win, as the specification has it. */
const EXTENSIONS = ['.properties', '.json', '.conf'] as const;

/** What each include statement stands for, in the order in which it is merged; nothing for a file that is not there. */
export type Included = ReadonlyMap<IncludeSyntax, readonly Document[]>;

/** A file by both its names: the user's, for messages, and the absolute one. */
interface FileName {
  readonly name: string;
  readonly path: string;
}

/**
 * Reads a document and the files it includes, which are looked for beside the file that names them.
 *
 * @param path Absolute path of `source`.
 * @throws OffloadError CONFIG_INVALID for anything that cannot be read, and for a file that includes itself.
 */
export async function loadDocuments(source: Source, path: string): Promise<{ root: Document; included: Included }> {
  const loader = new Loader();
  const root = parseDocument(source);
  await loader.loadIncludes(root, { name: source.name, path });
  return { root, included: loader.included };
}

/** @returns null when there is no such file. */
export async function readSource({ name, path }: FileName, format: Source['format']): Promise<Source | null> {
  try {
    // A pipe or device could keep us waiting for ever.
    if (!(await stat(path)).isFile()) throw unreadable(name, 'it is not a file');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
    return { name, format, text };
  } catch (error) {
    if (error instanceof OffloadError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (error instanceof TypeError && code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw unreadable(name, 'it is not UTF-8');
    }
    throw unreadable(name, code === 'EACCES' ? 'permission denied' : code);
  }
}

class Loader {
  readonly included = new Map<IncludeSyntax, readonly Document[]>();
  /** By absolute path; a file whose includes are still being read is in `#open`. */
  readonly #documents = new Map<string, Document | null>();
  readonly #open: string[] = [];
  #files = 0;
  #characters = 0;

  async loadIncludes(document: Document, file: FileName): Promise<void> {
    this.#open.push(file.path);
    for (const include of document.includes) {
      const place = { source: document.source, offset: include.offset };
      const found = await this.#loadCandidates(include.name, file, place);
      if (include.required && found.length === 0) {
        throw invalidAt(place, `there is no file ${JSON.stringify(include.name)}, which is required here`);
      }
      this.included.set(include, found);
    }
    this.#open.pop();
  }

  async #loadCandidates(name: string, from: FileName, place: Place): Promise<Document[]> {
    if (/^(?:https?|ftp|file|jar|jrt|mailto):/i.test(name)) {
      throw invalidAt(place, 'include of a URL is not read here: only files are included');
    }
    // The system's calls refuse it with an error of their own.
    if (name.includes('\0') || name === '') throw invalidAt(place, 'the name of a file to include cannot be empty');
    const isComplete = EXTENSIONS.some((extension) => name.endsWith(extension));
    const found: Document[] = [];
    for (const candidate of isComplete ? [name] : EXTENSIONS.map((extension) => `${name}${extension}`)) {
      const path = resolve(dirname(from.path), candidate);
      const shown = path === candidate ? candidate : join(dirname(from.name), candidate);
      const document = await this.#load({ name: shown, path }, place);
      if (document !== null) found.push(document);
    }
    return found;
  }

  async #load(file: FileName, place: Place): Promise<Document | null> {
    if (this.#open.includes(file.path)) {
      throw invalidAt(place, `${JSON.stringify(file.name)} includes itself, directly or by another file`);
    }
    const earlier = this.#documents.get(file.path);
    if (earlier !== undefined) return earlier;
    this.#files += 1;
    if (this.#files > LIMITS.files) throw invalidAt(place, `more than ${LIMITS.files} files are included`);
    const format = extname(file.path) === '.properties' ? 'properties' : 'HOCON';
    const source = await readSource(file, format).catch((error: unknown) => {
      throw error instanceof OffloadError ? invalidAt(place, error.message) : error;
    });
    this.#characters += source?.text.length ?? 0;
    if (this.#characters > LIMITS.characters) throw invalidAt(place, 'the files included are too large');
    const document = source === null ? null : format === 'properties' ? parseProperties(source) : parseDocument(source);
    if (document !== null) await this.loadIncludes(document, file);
    this.#documents.set(file.path, document);
    return document;
  }
}

function unreadable(name: string, why: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', `cannot read the configuration file ${name}: ${why}`);
}
