/**
 * Every file operation of commit, sinks and stage goes through `FileSystem`, so that a test can make the n-th one fail;
 * time goes through `Clock`. The interfaces are the few calls of node:fs/promises that are used.
 */
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32c } from '@node-rs/crc32';

export interface FileInfo {
  /** Bytes. */
  readonly size: number;
  readonly mtimeMs: number;
  readonly dev: number;
  readonly ino: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

export interface OpenFile {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ readonly bytesWritten: number }>;
  stat(): Promise<FileInfo>;
  truncate(bytes: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Errors are those of Node: `code` is ENOENT, EEXIST, ENOSPC and so on. */
export interface FileSystem {
  /** Flags as in Node: `r`, `wx`, `w`, `r+`. `mode` of a file that is made: 0666 less the umask where it is left out. */
  open(path: string, flags: string | number, mode?: number): Promise<OpenFile>;
  stat(path: string): Promise<FileInfo>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Buffer>;
  /** Makes one folder, whose parent is there. */
  mkdir(path: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes an empty folder. */
  rmdir(path: string): Promise<void>;
  /** Removes a file or a folder with all it holds; nothing there is not an error. */
  removeAll(path: string): Promise<void>;
  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void>;
}

export const nodeFileSystem: FileSystem = {
  open: (path, flags, mode) => open(path, flags, mode),
  stat: (path) => stat(path),
  readdir: (path) => readdir(path),
  readFile: (path) => readFile(path),
  mkdir: async (path) => {
    await mkdir(path);
  },
  link: (from, to) => link(from, to),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  rmdir: (path) => rmdir(path),
  removeAll: (path) => rm(path, { recursive: true, force: true }),
  utimes: (path, atimeMs, mtimeMs) => utimes(path, atimeMs / 1000, mtimeMs / 1000),
};

/** The same, without syncing: for files that nobody needs after a crash. */
export function withoutSync(fs: FileSystem): FileSystem {
  return {
    ...fs,
    open: async (path, flags, mode) => {
      const file = await fs.open(path, flags, mode);
      return {
        read: (...where) => file.read(...where),
        write: (...where) => file.write(...where),
        stat: () => file.stat(),
        truncate: (bytes) => file.truncate(bytes),
        sync: async () => {},
        close: () => file.close(),
      };
    },
  };
}

export interface Clock {
  nowMs(): number;
  /** Resolves early, without an error, when the signal aborts. Never keeps the process alive by itself if `idle`. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal; readonly idle?: boolean }): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, options = {}) => {
    const { signal, idle } = options;
    if (signal?.aborted) return;
    try {
      await sleep(ms, undefined, { ref: idle !== true, ...(signal ? { signal } : {}) });
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  },
};

/** Code of a system error (`ENOENT`), or the empty string. */
export function systemCode(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Runs a file operation; an absent file or folder gives null. */
export async function unlessAbsent<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Opens a file for as long as `act` takes. What fails in an open file fails without a path in Node: here it gets one, so
 * that whoever reports it can name the file.
 */
export async function withFile<T>(
  fs: FileSystem,
  path: string,
  flags: string | number,
  act: (file: OpenFile) => Promise<T>,
  mode?: number,
): Promise<T> {
  const file = await fs.open(path, flags, mode);
  let result: T;
  try {
    result = await act(file);
  } catch (error) {
    // What made `act` fail is what to say; a close after it has nothing to add.
    await file.close().catch(() => {});
    throw withPath(error, path);
  }
  await file.close().catch((error) => Promise.reject(withPath(error, path)));
  return result;
}

/** Closes a file that was only read: nothing is lost if that fails, and what failed before is what to say. */
export async function closeRead(file: OpenFile): Promise<void> {
  await file.close().catch(() => {});
}

function withPath(error: unknown, path: string): unknown {
  if (error instanceof Error && systemCode(error) !== '' && !('path' in error)) Object.assign(error, { path });
  return error;
}

/** Makes names created in, removed from or renamed in a folder last through a loss of power. */
export async function syncFolder(fs: FileSystem, path: string): Promise<void> {
  await withFile(fs, path, 'r', (folder) => folder.sync());
}

/** Makes a folder and the parents it lacks, and syncs the folder each new name stands in. */
export async function makeFolders(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      if ((await fs.stat(path)).isDirectory()) return;
      throw error;
    }
    if (systemCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolders(fs, dirname(path));
    // Once more and no further: a file system that holds no folders (/proc) says ENOENT with the parent in place.
    await fs.mkdir(path).catch((again) => {
      if (systemCode(again) !== 'EEXIST') throw again;
    });
  }
  await syncFolder(fs, dirname(path));
}

/** Writes all of `bytes` at the file's position, and again what a short write left over. */
export async function writeFully(file: OpenFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, bytes.byteLength - done, null)).bytesWritten;
  }
}

/** Writes all of `bytes` at `position`, and again what a short write left over; the file's own position stays. */
export async function writeFullyAt(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
  }
}

/** Of files that are nobody's but the user's who runs kafkaload. Data files follow the umask. */
export const PRIVATE_MODE = 0o600;

/** Writes a whole file and syncs its bytes; the folder is left to the caller. `flags` and `mode` as for `open`. */
export async function writeSynced(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array,
  flags: string | number = 'w',
  mode?: number,
): Promise<void> {
  const write = async (file: OpenFile): Promise<void> => {
    await writeFully(file, bytes);
    await file.sync();
  };
  await withFile(fs, path, flags, write, mode);
}

const CHECKSUM_CHUNK_BYTES = 1024 * 1024;

/** Size and CRC-32C of a file, read in pieces of 1 MiB; null if there is none. */
export async function checksumFile(
  fs: FileSystem,
  path: string,
): Promise<{ readonly bytes: number; readonly crc32c: number } | null> {
  const read = async (file: OpenFile) => {
    const chunk = Buffer.allocUnsafe(CHECKSUM_CHUNK_BYTES);
    let bytes = 0;
    let checksum = 0;
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return { bytes, crc32c: checksum };
      checksum = crc32c(chunk.subarray(0, bytesRead), checksum);
      bytes += bytesRead;
    }
  };
  return unlessAbsent(withFile(fs, path, 'r', read));
}
