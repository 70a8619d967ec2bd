/** Files against what is recorded of them: there, with the same bytes, and none beside them that should not be. */
import { basename } from 'node:path';
import { parseFooter, readTail, TAIL_BYTES } from '../encode/parquet/footer.ts';
import { checksumFile, type FileSystem, unlessAbsent } from '../io.ts';
import { type ManifestFile, toAbsolute } from '../sinks/manifest.ts';
import type { ChainedRun } from './chain.ts';
import { describe } from './coveredRanges.ts';
import { groupBy } from './groupBy.ts';
import type { StagedIntent } from './parse.ts';
import type { Finding } from './types.ts';

/** A file that should stand as a run left it. */
export interface LiveFile {
  readonly config: string;
  readonly run: ChainedRun['manifest'];
  /** Absolute. */
  readonly path: string;
  readonly recorded: ManifestFile;
}

/** The last state of every file that no later run replaced. @param runs In the order in which they ended. */
export function liveFiles(root: string, runs: readonly ChainedRun[]): Map<string, LiveFile> {
  const live = new Map<string, LiveFile>();
  for (const { manifest } of runs) {
    for (const path of manifest.replaced) live.delete(toAbsolute(root, path));
    for (const recorded of manifest.files) {
      const path = toAbsolute(root, recorded.path);
      live.set(path, { config: manifest.config, run: manifest, path, recorded });
    }
  }
  return live;
}

/** @returns What is wrong with one file; null: nothing. */
export async function checkFile(
  fs: FileSystem,
  { config, run, path, recorded }: LiveFile,
  pending: readonly StagedIntent[],
): Promise<Finding | null> {
  const found = (kind: Finding['kind'], message: string): Finding => ({ kind, config, message, run: run.run, path });
  const now = await checksumFile(fs, path);
  // A run that is about to end may have replaced it already.
  if (isExplained(path, now, pending)) return null;
  if (now === null) {
    return found(
      'missing-file',
      `${path} is gone, of run ${run.run}, with its rows (${recorded.rows}${rangesOf(recorded)})`,
    );
  }
  if (now.bytes !== recorded.bytes) {
    return found('damaged-file', `${path} has ${now.bytes} bytes; run ${run.run} left it with ${recorded.bytes}`);
  }
  if (now.crc32c !== recorded.crc32c) {
    return found(
      'damaged-file',
      `${path} was changed: its CRC-32C is ${hex(now.crc32c)}; run ${run.run} left it with ${hex(recorded.crc32c)}`,
    );
  }
  const rows = run.content?.output.format === 'parquet' ? await footerRows(fs, path) : recorded.rows;
  if (rows === recorded.rows) return null;
  return found('wrong-rows', `rows of ${path}: ${rows} by its footer, run ${run.run} recorded ${recorded.rows}`);
}

function isExplained(
  path: string,
  now: { readonly bytes: number; readonly crc32c: number } | null,
  pending: readonly StagedIntent[],
): boolean {
  return pending.some(({ files, replaced }) => {
    if (now === null) return replaced.includes(path);
    return files.some((file) => file.targetPath === path && file.bytes === now.bytes && file.crc32c === now.crc32c);
  });
}

async function footerRows(fs: FileSystem, path: string): Promise<number> {
  const file = await fs.open(path, 'r');
  try {
    const { size } = await file.stat();
    const read = async (position: number, length: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(length);
      await file.read(bytes, 0, length, position);
      return bytes;
    };
    const { footerStart, footerBytes } = readTail(await read(Math.max(0, size - TAIL_BYTES), TAIL_BYTES), size);
    return parseFooter(await read(footerStart, footerBytes)).rows;
  } finally {
    await file.close();
  }
}

const NAME_OF_A_RUN = /-(\d{8}T\d{6}Z-[0-9a-f]{8})\.[^/]+$/;

/**
 * Visible files that no run recorded.
 *
 * @param known Files of all configs, also of those that are not looked at.
 * @returns Findings for those that hold rows of kafkaload; the number of all others, which somebody else made.
 */
export async function checkStrangers(
  fs: FileSystem,
  strangers: readonly string[],
  known: ReadonlyMap<string, LiveFile>,
  pending: readonly StagedIntent[],
): Promise<{ findings: Finding[]; others: readonly string[] }> {
  const findings: Finding[] = [];
  const others: string[] = [];
  const bySize = groupBy(known.values(), ({ recorded }) => recorded.bytes);
  for (const path of strangers) {
    if (pending.some(({ files }) => files.some(({ targetPath }) => targetPath === path))) continue;
    const info = await unlessAbsent(fs.stat(path));
    if (info === null) continue;
    const alike = bySize.get(info.size);
    const now = alike ? await checksumFile(fs, path) : null;
    const same = alike?.find(({ recorded }) => recorded.crc32c === now?.crc32c);
    const [, run] = NAME_OF_A_RUN.exec(basename(path)) ?? [];
    if (same) {
      const message = `${path} has the same bytes as ${same.path}: its rows are there twice`;
      findings.push({ kind: 'doubled-file', config: same.config, message, run: same.run.run, path });
    } else if (run !== undefined) {
      const message = `${path} is named as a file of run ${run}, and no manifest tells of it: the manifest of that run is missing, or the file is left over`;
      findings.push({ kind: 'unnamed-file', config: null, message, run, path });
    } else {
      others.push(path);
    }
  }
  return { findings, others };
}

function rangesOf({ ranges }: ManifestFile): string {
  const shown = ranges.slice(0, 3).map(({ topic, partition, startOffset, endOffset }) => {
    return describe(`${topic}/${partition}`, startOffset, endOffset);
  });
  const more = ranges.length > shown.length ? [`${ranges.length - shown.length} more`] : [];
  return ranges.length === 0 ? '' : `, ${[...shown, ...more].join(', ')}`;
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
