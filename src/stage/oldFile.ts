/** The file that `Append` to an exact file starts from: its row groups are copied byte for byte, never decoded. */
import { crc32c } from '@node-rs/crc32';
import type { FileState } from '../commit/types.ts';
import { type ParsedFooter, parseFooter, readTail, TAIL_BYTES } from '../encode/parquet/footer.ts';
import { ioError, OffloadError } from '../errors.ts';
import { type FileSystem, type OpenFile, unlessAbsent, writeFullyAt } from '../io.ts';

const COPY_BYTES = 4 * 1024 ** 2;

export interface OldFooter {
  readonly path: string;
  readonly footer: ParsedFooter;
  /** Where the footer begins: the row groups, and their page indexes, end there. */
  readonly footerStart: number;
}

export interface OldFile extends OldFooter {
  /** The file as a whole: what must still stand there when it is replaced. */
  readonly whole: FileState;
  /** All before the footer: what was copied. */
  readonly body: FileState;
}

/**
 * Reads the footer of a Parquet file, or null if there is no such file.
 *
 * @throws OffloadError TARGET_UNSUITABLE if it is no Parquet file that can be appended to.
 */
export async function readOldFooter(fs: FileSystem, path: string): Promise<OldFooter | null> {
  const handle = await unlessAbsent(fs.open(path, 'r'));
  if (!handle) return null;
  try {
    const { size } = await handle.stat();
    const end = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await readFully(handle, end, size - end.length, path);
    const { footerStart, footerBytes } = readTail(end, size);
    const footer = Buffer.alloc(footerBytes);
    await readFully(handle, footer, footerStart, path);
    return { path, footer: parseFooter(footer), footerStart };
  } catch (error) {
    if (error instanceof OffloadError && error.code === 'TARGET_UNSUITABLE') {
      throw new OffloadError('TARGET_UNSUITABLE', `cannot append to ${path}: ${error.message}`, { cause: error });
    }
    throw ioError('read', path, error);
  } finally {
    await handle.close();
  }
}

/** Copies what stands before the footer to the start of a staged file, and takes both checksums on the way. */
export async function copyOldFile(fs: FileSystem, old: OldFooter, stagedPath: string): Promise<OldFile> {
  let body: FileState = { bytes: 0, crc32c: 0 };
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
        const kept = piece.subarray(0, Math.max(0, old.footerStart - whole.bytes));
        await writeFullyAt(to, kept, whole.bytes);
        body = extend(body, kept);
        whole = extend(whole, piece);
      }
    } finally {
      await to.close();
    }
  } catch (error) {
    throw ioError(`copy ${old.path} to`, stagedPath, error);
  } finally {
    await from.close();
  }
  return { ...old, whole, body };
}

async function readFully(handle: OpenFile, buffer: Buffer, position: number, path: string): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0)
      throw new OffloadError('TARGET_CHANGED', `${path} became shorter while it was read; run again`);
    done += bytesRead;
  }
}
