/** Folders that real runs of the commit have written, and what `verify` says of them. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileSystem } from '../../../src/io.ts';
import type { VerifyReport } from '../../../src/verify/types.ts';
import { verify } from '../../../src/verify/verify.ts';
import { CONFIG, folders, kafkaSettings, type LoadOptions, load, offsetsSettings, TOPIC } from '../commit/harness.ts';

const QUICK = { heartbeatMs: 40, takeOverAfterMs: 160 };

export function optionsIn(base: string, more: Partial<LoadOptions> = {}): LoadOptions {
  return { base, target: 'folder', writeMode: 'Append', highWatermark: 2, ...QUICK, ...more };
}

/** Three runs, each with `step` more messages in both partitions. */
export async function threeRuns(options: LoadOptions, step = 2): Promise<LoadOptions> {
  for (let run = 1; run <= 3; run++) {
    const result = await load({ ...options, highWatermark: step * run });
    if (result.outcome !== 'ok') throw new Error(result.message);
  }
  return { ...options, highWatermark: 3 * step };
}

/** Without the saved offsets: what the folder itself tells. */
export function look(path: string): Promise<VerifyReport> {
  return verify({ ...PLAIN, path, saved: null }, new AbortController().signal);
}

/** With the saved offsets; FILE mode asks no broker for them. @param fs Default: that of this machine. */
export function lookWithSaved(options: LoadOptions, path = targetOf(options), fs?: FileSystem): Promise<VerifyReport> {
  const saved = {
    config: CONFIG,
    selection: { kind: 'topics', topics: [TOPIC] } as const,
    kafka: kafkaSettings('127.0.0.1:1'),
    offsets: offsetsSettings(options),
  };
  return verify({ ...PLAIN, path, saved }, new AbortController().signal, fs);
}

const PLAIN = { deep: false, report: 'json', verbose: false, notes: [] } as const;

export function targetOf({ base, target }: LoadOptions): string {
  return target === 'file' ? folders(base).file : folders(base).root;
}

/** Sorted, without repeats. */
export function kindsOf({ findings }: VerifyReport): string[] {
  return [...new Set(findings.map(({ kind }) => kind))].toSorted((a, b) => (a < b ? -1 : 1));
}

/** A copy of what runs have written, to be damaged. */
export async function copyOf(root: string, to: string): Promise<string> {
  await mkdir(to, { recursive: true });
  await cp(root, to, { recursive: true });
  return to;
}

/** Manifests in the order of their runs, absolute. */
export async function manifestsIn(root: string): Promise<string[]> {
  return filesIn(join(root, '_kafkaload', 'manifests', CONFIG));
}

/** Visible files, absolute, sorted. */
export async function dataFilesIn(root: string): Promise<string[]> {
  return (await filesIn(root)).filter((path) => path.endsWith('.txt'));
}

async function filesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).toSorted((a, b) => (a < b ? -1 : 1));
  return names.map((name) => join(folder, name));
}
