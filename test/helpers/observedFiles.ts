/** A file system whose every operation is seen, and may be failed, before it happens. */
import type { FileSystem, OpenFile } from '../../src/io.ts';
import { failure } from './memoryDisk.ts';

export interface FileOperation {
  /** System call, as Node names it. */
  readonly call: string;
  readonly path: string;
  /** The other path of a link or a rename. */
  readonly to?: string;
}

/** `skip`: it does nothing and succeeds, as a disk that lies. `short`: a write takes half of its bytes. */
export type Verdict = 'skip' | 'short' | undefined;

export interface Observer {
  /** What it throws is what the operation fails with. */
  before?(operation: FileOperation): Verdict;
  after?(operation: FileOperation): void;
}

export function observeFiles(fs: FileSystem, { before, after }: Observer): FileSystem {
  const see = async <T>(operation: FileOperation, act: (verdict: Verdict) => Promise<T>, skipped?: T): Promise<T> => {
    const verdict = before?.(operation) ?? undefined;
    if (verdict === 'skip') return skipped as T;
    const result = await act(verdict);
    after?.(operation);
    return result;
  };
  const observeHandle = (handle: OpenFile, path: string): OpenFile => ({
    read: (...read) => see({ call: 'read', path }, () => handle.read(...read)),
    write: (buffer, offset, length, position) =>
      see({ call: 'write', path }, (verdict) => {
        return handle.write(buffer, offset, verdict === 'short' ? Math.ceil(length / 2) : length, position);
      }),
    stat: () => see({ call: 'fstat', path }, () => handle.stat()),
    truncate: (bytes) => see({ call: 'ftruncate', path }, () => handle.truncate(bytes)),
    sync: () => see({ call: 'fsync', path }, () => handle.sync()),
    // A close that fails has closed.
    close: () => handle.close().then(() => see({ call: 'close', path }, async () => {})),
  });
  return {
    open: async (path, flags) => {
      return observeHandle(await see({ call: 'open', path }, () => fs.open(path, flags)), path);
    },
    stat: (path) => see({ call: 'stat', path }, () => fs.stat(path)),
    readdir: (path) => see({ call: 'scandir', path }, () => fs.readdir(path)),
    readFile: (path) => see({ call: 'open', path }, () => fs.readFile(path)),
    mkdir: (path) => see({ call: 'mkdir', path }, () => fs.mkdir(path)),
    link: (path, to) => see({ call: 'link', path, to }, () => fs.link(path, to)),
    rename: (path, to) => see({ call: 'rename', path, to }, () => fs.rename(path, to)),
    unlink: (path) => see({ call: 'unlink', path }, () => fs.unlink(path)),
    rmdir: (path) => see({ call: 'rmdir', path }, () => fs.rmdir(path)),
    removeAll: (path) => see({ call: 'rm', path }, () => fs.removeAll(path)),
    utimes: (path, atimeMs, mtimeMs) => see({ call: 'utime', path }, () => fs.utimes(path, atimeMs, mtimeMs)),
  };
}

/** What the n-th operation, counted from 1, does instead of its work. */
export interface InjectedFault {
  readonly n: number;
  /** `short`: a write takes half of its bytes; with `lasting`, every write after it fails for lack of space. */
  readonly code: 'ENOSPC' | 'EIO' | 'EACCES' | 'short';
  /** From the n-th on all fail. */
  readonly lasting: boolean;
}

/** Fails operations as told. `fired` is the operation it began with; null: the run had fewer. */
export function failFiles(fs: FileSystem, fault: InjectedFault): { fs: FileSystem; fired: () => FileOperation | null } {
  let count = 0;
  let fired: FileOperation | null = null;
  const before = (operation: FileOperation): Verdict => {
    const isWrite = operation.call === 'write';
    if (fault.code === 'short' && !isWrite) return undefined;
    count += 1;
    if (count < fault.n || (count > fault.n && !fault.lasting)) return undefined;
    fired ??= operation;
    if (fault.code === 'short' && count === fault.n) return 'short';
    // A handle knows no path: neither does the error of Node.
    const isOfHandle = ['read', 'write', 'fstat', 'ftruncate', 'fsync', 'close'].includes(operation.call);
    const error = failure(fault.code === 'short' ? 'ENOSPC' : fault.code, operation.call, operation.path, operation.to);
    if (isOfHandle) {
      delete error.path;
      error.message = error.message.replace(/ '.*$/, '');
    }
    throw error;
  };
  return { fs: observeFiles(fs, { before }), fired: () => fired };
}
