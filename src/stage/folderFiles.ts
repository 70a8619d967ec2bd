/**
 * The coordinator's half of staging in folders: bytes of the spools become one staged file for each folder, or several
 * where there are many. Nothing is decoded; what is held is the list of segments and, for each lane, one buffer and the
 * footers of one file.
 *
 *     spool-0.staged: segment of folder x | segment of y | ...      part-00000.staged: head | segments of x | tail
 *
 * A crash at any point leaves files in the run's staging folder alone, which nobody reads.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { combineCrc32c } from '../encode/crc32c.ts';
import type { FileFormat } from '../encode/fileFormat.ts';
import { ioError, OffloadError } from '../errors.ts';
import { closeRead, type FileSystem, type OpenFile, syncFolder, writeFully } from '../io.ts';
import { comparePlaces } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import type { OffsetRange, StagedFile } from '../tasks.ts';
import type { FolderSegment, Spooled } from './folderSegments.ts';
import type { StagedLayout } from './segments.ts';
import { fileNumber, mergeRanges } from './stagedFiles.ts';

/** Files written at a time: most of the time is spent waiting for the disk to sync them. */
const LANES = 8;
const BUFFER_BYTES = 1024 * 1024;

export interface FolderFilesOptions {
  readonly fs: FileSystem;
  readonly stagingPath: string;
  readonly spools: StagedLayout;
  readonly format: FileFormat;
  /** Of every file. */
  readonly head: Uint8Array;
  /** Segments of one range in the order of their rows. */
  readonly segments: readonly FolderSegment[];
  /** Most files of a folder; null: as many as `fileBytes` suggests. */
  readonly mostFiles: number | null;
  /** Size of a file, about, before there is a second one in its folder. */
  readonly fileBytes: number;
  /** @param file Number of the file in its folder. */
  readonly targetPath: (folder: string, file: number) => string;
}

interface PlannedFile {
  readonly folder: string;
  readonly file: number;
  readonly segments: readonly FolderSegment[];
}

/**
 * Makes the staged files and removes the spools.
 *
 * @returns The files, synced, folders in order of their names.
 * @throws OffloadError IO_FAILED naming the path.
 */
export async function assembleFolderFiles(options: FolderFilesOptions): Promise<StagedFile[]> {
  const { fs, stagingPath, spools } = options;
  const planned = planFiles(options);
  const staged = new Array<StagedFile>(planned.length);
  const sources = await SpoolReader.open(fs, spools);
  try {
    let next = 0;
    const lane = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
      for (let index = next++; index < planned.length; index = next++) {
        staged[index] = await assembleFile(options, planned[index] as PlannedFile, index, sources, buffer);
      }
    };
    await Promise.all(Array.from({ length: Math.min(LANES, planned.length) }, lane));
  } finally {
    await sources.close();
  }
  for (const path of spools.paths) {
    await fs.unlink(path);
    passStep('stage.spoolRemoved');
  }
  await syncFolder(fs, stagingPath);
  passStep('stage.folderSynced');
  return staged;
}

function planFiles({ segments, mostFiles, fileBytes }: FolderFilesOptions): PlannedFile[] {
  const byFolder = new Map<string, FolderSegment[]>();
  for (const segment of segments) {
    const own = byFolder.get(segment.folder);
    if (own) own.push(segment);
    else byFolder.set(segment.folder, [segment]);
  }
  return [...byFolder.keys()].sort(byText).flatMap((folder) => {
    const inOrder = (byFolder.get(folder) as FolderSegment[]).sort((a, b) => {
      return comparePlaces(a.range, b.range) || a.range.startOffset - b.range.startOffset;
    });
    const bytes = inOrder.reduce((sum, { body }) => sum + body.bytes, 0);
    const count = Math.min(mostFiles ?? Number.POSITIVE_INFINITY, Math.max(1, Math.ceil(bytes / fileBytes)));
    return cutEvenly(inOrder, bytes / count).map((own, file) => ({ folder, file, segments: own }));
  });
}

function byText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** Neighbours go together until they have their share of the bytes. */
function cutEvenly(segments: readonly FolderSegment[], bytes: number): FolderSegment[][] {
  const parts: FolderSegment[][] = [];
  let before = 0;
  for (const segment of segments) {
    const part = Math.min(parts.length, Math.floor(before / bytes));
    const own = parts[part];
    if (own) own.push(segment);
    else parts.push([segment]);
    before += segment.body.bytes;
  }
  return parts;
}

async function assembleFile(
  { fs, stagingPath, format, head, targetPath }: FolderFilesOptions,
  { folder, file, segments }: PlannedFile,
  index: number,
  sources: SpoolReader,
  buffer: Buffer,
): Promise<StagedFile> {
  const stagedPath = join(stagingPath, `${fileNumber(index)}.staged`);
  let bytes = head.length;
  let checksum = crc32c(head);
  let tail: Uint8Array;
  try {
    const handle = await fs.open(stagedPath, 'wx');
    try {
      await writeFully(handle, head);
      const parts: { footer: Uint8Array; position: number }[] = [];
      for (const { body, footer } of segments) {
        parts.push({ footer: footer ? await sources.read(footer) : new Uint8Array(0), position: bytes });
        await sources.copy(body, handle, buffer);
        bytes += body.bytes;
        checksum = combineCrc32c(checksum, body.crc32c, body.bytes);
      }
      tail = format.tail(parts, bytes);
      await writeFully(handle, tail);
      passStep('stage.tailWritten');
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError('write', stagedPath, error);
  }
  passStep('stage.fileSynced');
  return {
    stagedPath,
    targetPath: targetPath(folder, file),
    rows: segments.reduce((sum, segment) => sum + segment.rows, 0),
    bytes: bytes + tail.length,
    crc32c: combineCrc32c(checksum, crc32c(tail), tail.length),
    ranges: mergeRanges(distinctRanges(segments)),
  };
}

/** Segments of one batch have one range; all are in order. */
function distinctRanges(segments: readonly FolderSegment[]): OffsetRange[] {
  const ranges: OffsetRange[] = [];
  for (const { range } of segments) {
    const last = ranges.at(-1);
    if (!last || comparePlaces(last, range) !== 0 || last.startOffset !== range.startOffset) ranges.push(range);
  }
  return ranges;
}

/** Reads spools at any position. */
class SpoolReader {
  readonly #paths: readonly string[];
  readonly #handles: readonly OpenFile[];

  private constructor(paths: readonly string[], handles: readonly OpenFile[]) {
    this.#paths = paths;
    this.#handles = handles;
  }

  static async open(fs: FileSystem, { paths }: StagedLayout): Promise<SpoolReader> {
    const handles: OpenFile[] = [];
    for (const path of paths) {
      try {
        handles.push(await fs.open(path, 'r'));
      } catch (error) {
        for (const handle of handles) await closeRead(handle);
        throw ioError('read', path, error);
      }
    }
    return new SpoolReader(paths, handles);
  }

  async read(source: Spooled): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(source.bytes);
    await this.#fill(source, 0, bytes);
    return bytes;
  }

  async copy(source: Spooled, target: OpenFile, buffer: Buffer): Promise<void> {
    for (let done = 0; done < source.bytes; ) {
      const piece = buffer.subarray(0, Math.min(buffer.length, source.bytes - done));
      await this.#fill(source, done, piece);
      await writeFully(target, piece);
      done += piece.length;
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles) await closeRead(handle);
  }

  async #fill({ file, position }: Spooled, from: number, bytes: Buffer): Promise<void> {
    const path = this.#paths[file] as string;
    for (let done = 0; done < bytes.length; ) {
      const at = position + from + done;
      const { bytesRead } = await (this.#handles[file] as OpenFile).read(bytes, done, bytes.length - done, at);
      if (bytesRead === 0)
        throw new OffloadError('TARGET_CHANGED', `${path} became shorter while it was read; run again`);
      done += bytesRead;
    }
  }
}
