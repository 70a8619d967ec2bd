/** Which files a load is of, given those that were asked for and what an earlier load left. Pure. */
import { OffloadError } from '../../errors.ts';
import type { FilePosition, FileProgress, LoadedFile } from './fileProgress.ts';

export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly crc32c: number;
}

/** Files of earlier loads that a batch remembers: the list is written with each transaction. Streams remember all (loadedFiles.ts). */
const MAX_REMEMBERED = 2_000;

/** What a load has before it. */
export interface FileChoice {
  /** In the order in which they are loaded; before them, with the runs that loaded them, files of earlier loads. */
  readonly files: readonly LoadedFile[];
  readonly position: FilePosition;
  /** Rows that an earlier run has loaded of these. */
  readonly rows: number;
  /** Since when; null: from now. */
  readonly startedAtMs: number | null;
  /** What to tell people. */
  readonly remarks: readonly string[];
}

/**
 * @param found What was asked for, in sorted order. Of files that a run left on its way, and that are not among these,
 *   too: those that can be read.
 * @param asked Paths among `found` that were asked for.
 * @param runOf The run of a stream that has loaded a file; null: none has.
 * @returns Null if an earlier load has loaded all that is asked for.
 * @throws OffloadError SOURCE_UNSUITABLE if a file is changed or gone that an earlier run has begun to load.
 */
export function chooseFiles(
  found: readonly FoundFile[],
  asked: ReadonlySet<string>,
  earlier: FileProgress | null,
  reload: boolean,
  runOf: (file: FoundFile) => string | null = () => null,
): FileChoice | null {
  const wanted = found.filter(({ path }) => asked.has(path));
  if (earlier === null) return begin(wanted, runOf, []);
  if (reload) return begin(wanted, () => null, earlier.state === 'done' ? rememberedFiles(wanted, earlier) : []);
  if (earlier.state === 'running') return resume(wanted, found, earlier, runOf);
  const done = loadedFiles(earlier);
  const loadedBy = (file: FoundFile): string | null => done.get(fingerprint(file)) ?? runOf(file);
  if (wanted.every((file) => loadedBy(file) !== null)) return null;
  return begin(wanted, loadedBy, rememberedFiles(wanted, earlier));
}

/** The run that loaded a file, by fingerprint. */
export function loadedFiles(done: FileProgress): Map<string, string> {
  return new Map(done.files.map((file) => [fingerprint(file), file.loadedBy ?? done.run]));
}

/** Of what was loaded before, the newest files that are not asked for now. */
function rememberedFiles(wanted: readonly FoundFile[], done: FileProgress): LoadedFile[] {
  const paths = new Set(wanted.map(({ path }) => path));
  const others = done.files.filter(({ path }) => !paths.has(path));
  return others.slice(-MAX_REMEMBERED).map((file) => ({ ...file, loadedBy: file.loadedBy ?? done.run }));
}

function begin(
  wanted: readonly FoundFile[],
  loadedBy: (file: FoundFile) => string | null,
  remembered: readonly LoadedFile[],
): FileChoice {
  const files = wanted.map((file) => ({ ...file, loadedBy: loadedBy(file) }));
  const remarks = files.flatMap(({ path, loadedBy }) =>
    loadedBy === null ? [] : [`${path} was loaded by run ${loadedBy} and has not changed since: left out`],
  );
  return { files: [...remembered, ...files], position: { file: 0, row: 0 }, rows: 0, startedAtMs: null, remarks };
}

/** Goes on with the files of the run that died, and then takes those that it did not know. */
function resume(
  wanted: readonly FoundFile[],
  found: readonly FoundFile[],
  earlier: FileProgress,
  runOf: (file: FoundFile) => string | null,
): FileChoice {
  const { position, run } = earlier;
  const now = new Map(found.map((file) => [file.path, file]));
  const left = earlier.files.filter(({ loadedBy }, place) => loadedBy === null && place >= position.file);
  for (const file of left) checkUnchanged(file, now.get(file.path), earlier);
  const known = new Set(earlier.files.map(fingerprint));
  const added = wanted.filter((file) => !known.has(fingerprint(file)) && runOf(file) === null);
  const at = earlier.files[position.file];
  const where = at ? `at row ${position.row + 1} of ${at.path}` : 'behind its last file';
  return {
    files: [...earlier.files, ...added.map((file) => ({ ...file, loadedBy: null }))],
    position,
    rows: earlier.rows,
    startedAtMs: earlier.startedAtMs,
    remarks: [`going on ${where}, where run ${run} stopped after ${earlier.rows} rows`],
  };
}

function checkUnchanged(file: LoadedFile, now: FoundFile | undefined, { run, rows }: FileProgress): void {
  if (now && fingerprint(now) === fingerprint(file)) return;
  const what = now
    ? `it has ${now.bytes} bytes, CRC-32C ${now.crc32c}, and had ${file.bytes} bytes, CRC-32C ${file.crc32c}`
    : 'it is not there any more';
  throw new OffloadError(
    'SOURCE_UNSUITABLE',
    `cannot go on with the load that run ${run} began (${rows} rows are written): ${file.path} has changed: ${what}; put it ` +
      'back, or load everything from the beginning with --reload',
    { context: { path: file.path, run, rows } },
  );
}

export function fingerprint({ path, bytes, crc32c }: FoundFile): string {
  return `${path}\n${bytes}\n${crc32c}`;
}
