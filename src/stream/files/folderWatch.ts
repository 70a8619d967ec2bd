/** Looks at the files of a source again and again, and tells which of them nobody writes to any more. */
import { basename } from 'node:path';
import type { FileSource } from '../../config/job.ts';
import { listSourceFiles, type SourceFile } from '../../sources/files/listFiles.ts';

/** A file that has kept its size and its time of modification for so long is taken to be whole. */
export const STABLE_MS = 1_000;
/** As browsers, editors, copying tools and `hdfs dfs -put` name what is not whole yet. */
const TEMPORARY = /(\.(tmp|temp|part|partial|filepart|crdownload|swp)|\._COPYING_|~)$/i;

interface Candidate {
  readonly file: SourceFile;
  readonly sinceMs: number;
}

export interface Look {
  /** Not loaded yet, and not written to any more; the oldest first. */
  readonly stable: readonly SourceFile[];
  /** Not loaded yet, and seen in this shape not long enough. */
  readonly unstable: readonly SourceFile[];
}

export class FolderWatch {
  readonly #source: FileSource;
  /** By path. */
  #candidates = new Map<string, Candidate>();

  constructor(source: FileSource) {
    this.#source = source;
  }

  /**
   * @param isLoaded Whether a file was loaded as it is now.
   * @throws OffloadError SOURCE_UNSUITABLE if a path that is no glob stands for nothing; IO_FAILED.
   */
  async look(isLoaded: (file: SourceFile) => boolean): Promise<Look> {
    const { paths, input } = this.#source;
    const files = await listSourceFiles(paths, '/', input.pathGlobFilter, true);
    const nowMs = performance.now();
    const candidates = new Map<string, Candidate>();
    for (const file of files) {
      if (TEMPORARY.test(basename(file.path)) || isLoaded(file)) continue;
      const before = this.#candidates.get(file.path);
      const isSame = before?.file.bytes === file.bytes && before.file.modifiedMs === file.modifiedMs;
      candidates.set(file.path, { file, sinceMs: isSame ? before.sinceMs : nowMs });
    }
    this.#candidates = candidates;
    const all = [...candidates.values()].sort(byAge);
    const isStable = ({ sinceMs }: Candidate): boolean => nowMs - sinceMs >= STABLE_MS;
    return {
      stable: all.filter(isStable).map(({ file }) => file),
      unstable: all.filter((candidate) => !isStable(candidate)).map(({ file }) => file),
    };
  }
}

function byAge({ file: a }: Candidate, { file: b }: Candidate): number {
  return a.modifiedMs - b.modifiedMs || (a.path < b.path ? -1 : 1);
}
