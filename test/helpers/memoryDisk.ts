/**
 * A file system in memory that knows what a loss of power may leave of it. What a program sees is `current`; what is
 * sure to be there after the power comes back is `durable`, and a list of changes of folders in between:
 *
 * - The bytes of a file last once the file was synced. Those written since may be there in part or not at all.
 * - A name that was made, moved or removed lasts once the folder it stands in was synced. Each such change since is
 *   there or not, whatever became of the others: POSIX promises no order. A move within one folder is one change; one
 *   into another folder makes its new name first, so a file may have both names but never none.
 */
import { constants } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { FileInfo, FileSystem, OpenFile } from '../../src/io.ts';

interface FileNode {
  readonly kind: 'file';
  readonly ino: number;
  durable: Buffer;
  current: Buffer;
  mtimeMs: number;
}

interface FolderNode {
  readonly kind: 'folder';
  readonly ino: number;
  durable: Map<string, Node>;
  current: Map<string, Node>;
  mtimeMs: number;
}

type Node = FileNode | FolderNode;

interface Edit {
  readonly folder: FolderNode;
  readonly name: string;
  /** Null removes the name. */
  readonly node: Node | null;
}

/** Happens as a whole or not at all. */
interface Change {
  readonly edits: readonly Edit[];
  /** Cannot last without this one. */
  readonly after: Change | null;
}

/** What is left of the bytes of a file that were not synced. */
const LEFT_OF_FILE = ['synced', 'current', 'half', 'zeros'] as const;
export type LeftOfFile = (typeof LEFT_OF_FILE)[number];

/** What a loss of power leaves: a choice for each change and each file that were not synced, in their order. */
export interface Remains {
  readonly keeps: (change: number) => boolean;
  readonly leftOf: (file: number) => LeftOfFile;
}

export class MemoryDisk implements FileSystem {
  #root: FolderNode;
  #pending: Change[] = [];
  #nextIno = 2;
  #version = 0;

  constructor() {
    this.#root = { kind: 'folder', ino: 1, durable: new Map(), current: new Map(), mtimeMs: 0 };
  }

  /** Another number with everything that changes what the disk holds or what of it is sure to last. */
  get version(): number {
    return this.#version;
  }

  /** Number of changes and of files that a loss of power could still undo. */
  get unsynced(): { readonly changes: number; readonly files: number } {
    return { changes: this.#pending.length, files: this.#unsyncedFiles().length };
  }

  /** Another disk with the same content, and the same that is not synced. */
  copy(): MemoryDisk {
    const copies = new Map<Node, Node>();
    const copyOf = <N extends Node>(node: N): N => {
      const known = copies.get(node);
      if (known) return known as N;
      // The buffers are replaced when files are written, never changed, so both may hold them.
      const copied: Node = node.kind === 'file' ? { ...node } : { ...node, durable: new Map(), current: new Map() };
      copies.set(node, copied);
      if (node.kind === 'folder' && copied.kind === 'folder') {
        for (const [name, child] of node.durable) copied.durable.set(name, copyOf(child));
        for (const [name, child] of node.current) copied.current.set(name, copyOf(child));
      }
      return copied as N;
    };
    const disk = new MemoryDisk();
    disk.#root = copyOf(this.#root);
    disk.#nextIno = this.#nextIno;
    const changes = new Map<Change, Change>();
    for (const change of this.#pending) {
      const edits = change.edits.map(({ folder, name, node }): Edit => {
        return { folder: copyOf(folder), name, node: node && copyOf(node) };
      });
      const copied = { edits, after: (change.after && changes.get(change.after)) ?? null };
      changes.set(change, copied);
      disk.#pending.push(copied);
    }
    return disk;
  }

  /** The disk as it is found after a loss of power: all that is there lasts. */
  afterPowerLoss({ keeps, leftOf }: Remains): MemoryDisk {
    const disk = this.copy();
    const unsynced = disk.#unsyncedFiles();
    const kept = new Set<Change>();
    for (const [index, change] of disk.#pending.entries()) {
      if (!keeps(index) || (change.after !== null && !kept.has(change.after))) continue;
      kept.add(change);
      for (const edit of change.edits) applyEdit(edit, 'durable');
    }
    for (const [index, file] of unsynced.entries()) file.durable = leftover(file, leftOf(index));
    disk.#pending = [];
    settle(disk.#root);
    return disk;
  }

  async open(path: string, flags: string | number): Promise<OpenFile> {
    const isNumber = typeof flags === 'number';
    const isWritten = isNumber ? (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0 : flags !== 'r';
    const isMade = flags === 'w' || flags === 'wx';
    const appends = isNumber && (flags & constants.O_APPEND) !== 0;
    const { folder, name } = this.#parent('open', path);
    let node = name === '' ? folder : folder.current.get(name);
    if (node && flags === 'wx') throw failure('EEXIST', 'open', path);
    if (!node && !isMade) throw failure('ENOENT', 'open', path);
    if (node?.kind === 'folder' && isWritten) throw failure('EISDIR', 'open', path);
    if (!node) {
      const empty = Buffer.alloc(0);
      node = { kind: 'file', ino: this.#nextIno++, durable: empty, current: empty, mtimeMs: Date.now() };
      this.#change([{ folder, name, node }]);
    } else if (node.kind === 'file' && isMade) this.#write(node, Buffer.alloc(0));
    return node.kind === 'file' ? this.#openFile(node, appends) : this.#openFolder(node, path);
  }

  async stat(path: string): Promise<FileInfo> {
    return infoOf(this.#find('stat', path));
  }

  async readdir(path: string): Promise<string[]> {
    return [...this.#findFolder('scandir', path).current.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  async readFile(path: string): Promise<Buffer> {
    const node = this.#find('open', path);
    if (node.kind === 'folder') throw failure('EISDIR', 'read', path);
    return Buffer.from(node.current);
  }

  async mkdir(path: string): Promise<void> {
    const { folder, name } = this.#parent('mkdir', path);
    if (name === '' || folder.current.has(name)) throw failure('EEXIST', 'mkdir', path);
    const ino = this.#nextIno++;
    const node: FolderNode = { kind: 'folder', ino, durable: new Map(), current: new Map(), mtimeMs: Date.now() };
    this.#change([{ folder, name, node }]);
  }

  async link(from: string, to: string): Promise<void> {
    const node = this.#find('link', from, to);
    const { folder, name } = this.#parent('link', to);
    if (folder.current.has(name)) throw failure('EEXIST', 'link', from, to);
    this.#change([{ folder, name, node }]);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#parent('rename', from);
    const node = source.folder.current.get(source.name);
    if (!node) throw failure('ENOENT', 'rename', from, to);
    const target = this.#parent('rename', to);
    const replaced = target.folder.current.get(target.name);
    if (replaced === node) return;
    if (replaced?.kind === 'folder' && node.kind === 'folder' && replaced.current.size > 0) {
      throw failure('ENOTEMPTY', 'rename', from, to);
    }
    if (replaced && replaced.kind !== node.kind) {
      throw failure(node.kind === 'file' ? 'EISDIR' : 'ENOTDIR', 'rename', from, to);
    }
    const removal: Edit = { ...source, node: null };
    const addition: Edit = { ...target, node };
    if (source.folder === target.folder) this.#change([removal, addition]);
    else this.#change([removal], this.#change([addition]));
  }

  async unlink(path: string): Promise<void> {
    const node = this.#find('unlink', path);
    if (node.kind === 'folder') throw failure('EISDIR', 'unlink', path);
    this.#change([{ ...this.#parent('unlink', path), node: null }]);
  }

  async rmdir(path: string): Promise<void> {
    if (this.#findFolder('rmdir', path).current.size > 0) throw failure('ENOTEMPTY', 'rmdir', path);
    this.#change([{ ...this.#parent('rmdir', path), node: null }]);
  }

  async removeAll(path: string): Promise<void> {
    const parent = this.#folderAt(dirname(path));
    if (!parent) return;
    const { folder, name } = { folder: parent, name: basename(path) };
    const node = folder.current.get(name);
    if (node?.kind === 'folder') for (const child of await this.readdir(path)) await this.removeAll(`${path}/${child}`);
    if (node) this.#change([{ folder, name, node: null }]);
  }

  async utimes(path: string, _atimeMs: number, mtimeMs: number): Promise<void> {
    this.#find('utime', path).mtimeMs = mtimeMs;
  }

  /** Makes a folder and its parents, all lasting: what was there before a test. */
  makeFolders(path: string): void {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      let next = folder.current.get(name);
      if (next?.kind !== 'folder') {
        next = { kind: 'folder', ino: this.#nextIno++, durable: new Map(), current: new Map(), mtimeMs: Date.now() };
        applyEdit({ folder, name, node: next }, 'current');
        applyEdit({ folder, name, node: next }, 'durable');
      }
      folder = next;
    }
  }

  #openFile(node: FileNode, appends: boolean): OpenFile {
    let place = 0;
    return {
      read: async (buffer, offset, length, position) => {
        const from = position ?? place;
        const bytesRead = node.current.subarray(from, from + length).copy(buffer, offset);
        if (position === null) place += bytesRead;
        return { bytesRead };
      },
      write: async (buffer, offset, length, position) => {
        const from = appends ? node.current.length : (position ?? place);
        const written = Buffer.alloc(Math.max(node.current.length, from + length));
        node.current.copy(written);
        written.set(buffer.subarray(offset, offset + length), from);
        this.#write(node, written);
        if (position === null) place = from + length;
        return { bytesWritten: length };
      },
      stat: async () => infoOf(node),
      truncate: async (bytes) => {
        const cut = Buffer.alloc(bytes);
        node.current.copy(cut);
        this.#write(node, cut);
      },
      sync: async () => {
        node.durable = node.current;
        this.#version += 1;
      },
      close: async () => {},
    };
  }

  #openFolder(node: FolderNode, path: string): OpenFile {
    const refuse = async (): Promise<never> => {
      throw failure('EISDIR', 'read', path);
    };
    return {
      read: refuse,
      write: refuse,
      truncate: refuse,
      stat: async () => infoOf(node),
      sync: async () => this.#syncFolder(node),
      close: async () => {},
    };
  }

  #write(node: FileNode, bytes: Buffer): void {
    node.current = bytes;
    node.mtimeMs = Date.now();
    this.#version += 1;
  }

  #syncFolder(folder: FolderNode): void {
    this.#version += 1;
    const lasting = new Set<Change>();
    for (const change of this.#pending) {
      if (!change.edits.some((edit) => edit.folder === folder)) continue;
      if (change.after) lasting.add(change.after);
      lasting.add(change);
    }
    for (const change of this.#pending) {
      if (lasting.has(change)) for (const edit of change.edits) applyEdit(edit, 'durable');
    }
    this.#pending = this.#pending.filter((change) => !lasting.has(change));
  }

  #change(edits: readonly Edit[], after: Change | null = null): Change {
    const change = { edits, after };
    for (const edit of edits) {
      applyEdit(edit, 'current');
      edit.folder.mtimeMs = Date.now();
    }
    this.#pending.push(change);
    this.#version += 1;
    return change;
  }

  /** Files with bytes that were not synced, that some name leads to or may lead to; in the order they were made. */
  #unsyncedFiles(): FileNode[] {
    const found = new Set<Node>();
    const visit = (node: Node): void => {
      if (found.has(node)) return;
      found.add(node);
      if (node.kind === 'folder')
        for (const child of [...node.durable.values(), ...node.current.values()]) visit(child);
    };
    visit(this.#root);
    for (const { edits } of this.#pending) for (const { node } of edits) if (node) visit(node);
    const files = [...found].filter((node): node is FileNode => node.kind === 'file' && node.durable !== node.current);
    return files.sort((a, b) => a.ino - b.ino);
  }

  #find(syscall: string, path: string, to?: string): Node {
    const { folder, name } = this.#parent(syscall, path);
    const node = name === '' ? folder : folder.current.get(name);
    if (!node) throw failure('ENOENT', syscall, path, to);
    return node;
  }

  #findFolder(syscall: string, path: string): FolderNode {
    const node = this.#find(syscall, path);
    if (node.kind !== 'folder') throw failure('ENOTDIR', syscall, path);
    return node;
  }

  /** Null: there is none. */
  #folderAt(path: string): FolderNode | null {
    let folder: Node | undefined = this.#root;
    for (const part of partsOf(path)) folder = folder?.kind === 'folder' ? folder.current.get(part) : undefined;
    return folder?.kind === 'folder' ? folder : null;
  }

  #parent(syscall: string, path: string): { folder: FolderNode; name: string } {
    let folder = this.#root;
    for (const part of partsOf(dirname(path))) {
      const next = folder.current.get(part);
      if (!next) throw failure('ENOENT', syscall, path);
      if (next.kind !== 'folder') throw failure('ENOTDIR', syscall, path);
      folder = next;
    }
    return { folder, name: basename(path) };
  }
}

/** Every choice a loss of power has, if they are no more than `most`; else so many of them, as `random` picks. */
export function chooseRemains(disk: MemoryDisk, most: number, random: () => number): Remains[] {
  const { changes, files } = disk.unsynced;
  const all = 2 ** changes * LEFT_OF_FILE.length ** files;
  if (all <= most) return Array.from({ length: all }, (_, choice) => remainsOf(choice, changes));
  const leftOf = (random: number): LeftOfFile => LEFT_OF_FILE[Math.floor(random * LEFT_OF_FILE.length)] as LeftOfFile;
  // Nothing of it, all names without the bytes, and what is between.
  const extremes: Remains[] = [
    { keeps: () => false, leftOf: () => 'synced' },
    { keeps: () => true, leftOf: () => 'synced' },
  ];
  const picked = Array.from({ length: Math.max(0, most - extremes.length) }, (): Remains => {
    const kept = Array.from({ length: changes }, () => random() < 0.5);
    const left = Array.from({ length: files }, () => leftOf(random()));
    return { keeps: (change) => kept[change] ?? false, leftOf: (file) => left[file] ?? 'synced' };
  });
  return [...extremes.slice(0, most), ...picked];
}

function remainsOf(choice: number, changes: number): Remains {
  const ofFiles = Math.floor(choice / 2 ** changes);
  return {
    keeps: (change) => Math.floor(choice / 2 ** change) % 2 === 1,
    leftOf: (file) =>
      LEFT_OF_FILE[Math.floor(ofFiles / LEFT_OF_FILE.length ** file) % LEFT_OF_FILE.length] as LeftOfFile,
  };
}

function applyEdit({ folder, name, node }: Edit, view: 'durable' | 'current'): void {
  if (node) folder[view].set(name, node);
  else folder[view].delete(name);
}

function leftover({ durable, current }: FileNode, left: LeftOfFile): Buffer {
  switch (left) {
    case 'synced':
      return durable;
    case 'current':
      return current;
    case 'half':
      return current.subarray(0, Math.ceil((durable.length + current.length) / 2));
    case 'zeros': {
      // The size was written before the bytes were.
      const zeros = Buffer.alloc(current.length);
      durable.copy(zeros);
      return zeros;
    }
  }
}

function settle(folder: FolderNode): void {
  folder.current = new Map(folder.durable);
  for (const node of folder.current.values()) {
    if (node.kind === 'folder') settle(node);
    else node.current = node.durable;
  }
}

function infoOf(node: Node): FileInfo {
  const isFile = node.kind === 'file';
  const { ino, mtimeMs } = node;
  return {
    ...{ ino, mtimeMs, dev: 1, size: isFile ? node.current.length : 4096 },
    isFile: () => isFile,
    isDirectory: () => !isFile,
  };
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

/** An error as Node throws it. */
export function failure(code: string, syscall: string, path: string, dest?: string): NodeJS.ErrnoException {
  const to = dest === undefined ? '' : ` -> '${dest}'`;
  // As those of node:fs it has no stack, which would be most of its cost.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new Error(`${code}: ${MESSAGES[code] ?? 'failed'}, ${syscall} '${path}'${to}`);
  Error.stackTraceLimit = limit;
  return Object.assign(error, { code, syscall, path, ...(dest !== undefined && { dest }) });
}

const MESSAGES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EEXIST: 'file already exists',
  EISDIR: 'illegal operation on a directory',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  ENOSPC: 'no space left on device',
  EIO: 'i/o error',
  EACCES: 'permission denied',
};
