/**
 * Files that a config has loaded, all of them, however many there are: a stream of files runs for months, and none may be
 * loaded twice. Of each 24 bytes are kept, in records of the progress topic that are written in the transaction of what they
 * speak of:
 *
 *     _kafkaload.progress/CONFIG/+files/NUMBER    { "version": 1, "loads": [{ "run": RUN, "files": BASE64 }] }
 *
 * `files` has two digests of each file, the first 12 bytes of a SHA-256: of path, size and time of modification, by which a
 * file is known without being read; and of path, size and CRC-32C, by which one is known that was only touched. A file of
 * another path or another content is another file. A record is full with 256 files, is never written again, and the next
 * number begins. No name of a topic or config begins with `+`: the keys are none of another job (progressTopic.ts).
 */
import { createHash } from 'node:crypto';
import { isObject, parseJson } from '../../commit/shapes.ts';
import { OffloadError } from '../../errors.ts';
import { DIGEST_BYTES, DigestMap } from './digestMap.ts';
import type { FoundFile } from './fileChoice.ts';
import { type ProgressRecord, type ProgressWrite, progressKey } from './progressTopic.ts';

const RECORD_FILES = 256;
const FILE_BYTES = 2 * DIGEST_BYTES;

/** As a look at the folder shows it. */
export interface SeenFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** Files that one run has loaded, in a record. */
interface Load {
  readonly run: string;
  files: Buffer;
}

export function isLoadedFilesKey(config: string): (key: string) => boolean {
  const prefix = `${progressKey(config, '+files')}/`;
  return (key) => key.startsWith(prefix);
}

export class LoadedFiles {
  readonly #config: string;
  readonly #recordFiles: number;
  readonly #runs: string[] = [];
  /** Digests of both kinds, with the place of the run. */
  readonly #digests = new DigestMap();
  /** The last record, which has room. */
  #number = 0;
  #loads: Load[] = [];

  /** @param recordFiles For tests: files in a record. */
  constructor(config: string, recordFiles = RECORD_FILES) {
    this.#config = config;
    this.#recordFiles = recordFiles;
  }

  /**
   * @param records With other keys among them, which are left aside.
   * @throws OffloadError SAVED_OFFSETS_INVALID naming the key.
   */
  static read(config: string, records: ReadonlyMap<string, Pick<ProgressRecord, 'value'>>): LoadedFiles {
    const loaded = new LoadedFiles(config);
    const isOwn = isLoadedFilesKey(config);
    for (const [key, { value }] of records) if (isOwn(key)) loaded.#take(key, value);
    return loaded;
  }

  /** The run that has loaded a file as it is now; null: it has to be read to be known. */
  runOfSeen(file: SeenFile): string | null {
    return this.#runOf(seenDigest(file));
  }

  /** The run that has loaded this content from this path; null: none has. */
  runOfContent(file: FoundFile): string | null {
    return this.#runOf(contentDigest(file));
  }

  /**
   * Remembers files.
   *
   * @param files Without a time of modification: known by their content alone.
   * @returns The records that change: to be written with what they speak of.
   */
  add(files: readonly (FoundFile & { readonly modifiedMs?: number })[], run: string): ProgressWrite[] {
    const changed = new Map<number, Load[]>();
    for (const { modifiedMs, ...file } of files) {
      const content = contentDigest(file);
      const seen = modifiedMs === undefined ? content : seenDigest({ ...file, modifiedMs });
      if (this.#digests.get(seen) !== null && this.#digests.get(content) !== null) continue;
      if (this.#count >= this.#recordFiles) {
        this.#number += 1;
        this.#loads = [];
      }
      let load = this.#loads.find((entry) => entry.run === run);
      if (!load) {
        load = { run, files: Buffer.alloc(0) };
        this.#loads.push(load);
      }
      load.files = Buffer.concat([load.files, seen, content]);
      this.#remember(seen, content, run);
      changed.set(this.#number, this.#loads);
    }
    return [...changed].map(([number, loads]) => {
      const entries = loads.map((load) => ({ run: load.run, files: load.files.toString('base64') }));
      return {
        key: progressKey(this.#config, '+files', number),
        value: JSON.stringify({ version: 1, loads: entries }),
      };
    });
  }

  get #count(): number {
    return this.#loads.reduce((sum, { files }) => sum + files.length / FILE_BYTES, 0);
  }

  #runOf(digest: Buffer): string | null {
    const place = this.#digests.get(digest);
    return place === null ? null : (this.#runs[place] ?? null);
  }

  #remember(seen: Buffer, content: Buffer, run: string): void {
    // The last runs are the likely ones.
    let place = this.#runs.lastIndexOf(run);
    if (place < 0) place = this.#runs.push(run) - 1;
    this.#digests.set(seen, place);
    this.#digests.set(content, place);
  }

  #take(key: string, text: string): void {
    const number = Number(key.slice(key.lastIndexOf('/') + 1));
    const loads = readLoads(text);
    if (loads === null || !Number.isSafeInteger(number) || number < 0) {
      throw new OffloadError(
        'SAVED_OFFSETS_INVALID',
        `the record ${key} of the progress topic is no list of loaded files; without it they would be loaded again: correct it`,
        { context: { key } },
      );
    }
    for (const { run, files } of loads) {
      for (let at = 0; at < files.length; at += FILE_BYTES) {
        const middle = at + DIGEST_BYTES;
        this.#remember(files.subarray(at, middle), files.subarray(middle, at + FILE_BYTES), run);
      }
    }
    if (number < this.#number) return;
    this.#number = number;
    this.#loads = loads;
  }
}

function readLoads(text: string): Load[] | null {
  const value = parseJson(text);
  if (!isObject(value) || value.version !== 1 || !Array.isArray(value.loads)) return null;
  const loads: Load[] = [];
  for (const entry of value.loads as unknown[]) {
    if (!isObject(entry) || typeof entry.run !== 'string' || typeof entry.files !== 'string') return null;
    const files = Buffer.from(entry.files, 'base64');
    if (files.length % FILE_BYTES !== 0) return null;
    loads.push({ run: entry.run, files });
  }
  return loads;
}

function seenDigest({ path, bytes, modifiedMs }: SeenFile): Buffer {
  return digest(`${path}\n${bytes}\nat ${modifiedMs}`);
}

function contentDigest({ path, bytes, crc32c }: FoundFile): Buffer {
  return digest(`${path}\n${bytes}\nof ${crc32c}`);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES);
}
