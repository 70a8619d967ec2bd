/** The file that `Append` to an exact file starts from: what is kept of it is copied byte for byte, never decoded. */
import { crc32c } from '@node-rs/crc32';
import type { Schema } from 'apache-arrow';
import type { FileState } from '../commit/types.ts';
import type { FileFormat, OldContent } from '../encode/fileFormat.ts';
import { ioError, OffloadError } from '../errors.ts';
import { closeRead, type FileSystem, type OpenFile, unlessAbsent, writeFullyAt } from '../io.ts';
import { passStep } from '../steps.ts';

const COPY_BYTES = 4 * 1024 ** 2;

/** What was found in the old file before anything is read from the source. */
export interface OldStart extends OldContent {
  readonly path: string;
}

export interface OldFile extends OldStart {
  /** The file as a whole: what must still stand there when it is replaced. */
  readonly whole: FileState;
  /** What is kept of it and the joint, as they lie at the start of the staged file. */
  readonly copied: FileState;
}

/** Where new rows begin in a staged file that starts from an old one. */
export function startOfNewRows({ keptBytes, joint }: OldContent): number {
  return keptBytes + joint.length;
}

/**
 * Looks into the file that is to be appended to; null if there is none.
 *
 * @throws OffloadError TARGET_UNSUITABLE if rows of this format and schema cannot follow what it holds.
 */
export async function readOldStart(
  fs: FileSystem,
  path: string,
  format: FileFormat,
  schema: Schema,
): Promise<OldStart | null> {
  const handle = await unlessAbsent(fs.open(path, 'r'));
  if (!handle) return null;
  try {
    const { size } = await handle.stat();
    const read = async (position: number, length: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(length);
      await readFully(handle, bytes, position, path);
      return bytes;
    };
    return { ...(await format.readOld({ path, bytes: size, read }, schema)), path };
  } catch (error) {
    throw ioError('read', path, error);
  } finally {
    await closeRead(handle);
  }
}

/** Copies what is kept to the start of a staged file, and the joint behind it; takes the checksums on the way. */
export async function copyOldFile(fs: FileSystem, old: OldStart, stagedPath: string): Promise<OldFile> {
  let copied: FileState = { bytes: 0, crc32c: 0 };
  let whole: FileState = { bytes: 0, crc32c: 0 };
  const extend = (state: FileState, bytes: Uint8Array): FileState => ({
    bytes: state.bytes + bytes.length,
    crc32c: crc32c(bytes, state.crc32c),
  });
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  const from = await fs.open(old.path, 'r').catch((error) => Promise.reject(ioError('read', old.path, error)));
  try {
    const to = await fs.open(stagedPath, 'r+');
    try {
      for (;;) {
        const { bytesRead } = await from.read(buffer, 0, buffer.length, whole.bytes);
        if (bytesRead === 0) break;
        const piece = buffer.subarray(0, bytesRead);
        const kept = piece.subarray(0, Math.max(0, old.keptBytes - whole.bytes));
        await writeFullyAt(to, kept, whole.bytes);
        copied = extend(copied, kept);
        whole = extend(whole, piece);
      }
      if (copied.bytes !== old.keptBytes) throw shortened(old.path);
      await writeFullyAt(to, old.joint, copied.bytes);
      copied = extend(copied, old.joint);
    } finally {
      await to.close();
    }
  } catch (error) {
    throw ioError(`copy ${old.path} to`, stagedPath, error);
  } finally {
    await closeRead(from);
  }
  passStep('stage.oldCopied');
  return { ...old, whole, copied };
}

async function readFully(handle: OpenFile, buffer: Buffer, position: number, path: string): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) throw shortened(path);
    done += bytesRead;
  }
}

function shortened(path: string): OffloadError {
  return new OffloadError('TARGET_CHANGED', `${path} became shorter while it was read; run again`);
}
