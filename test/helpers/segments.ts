import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CODECS } from './producers.ts';

/** Head of a record batch, magic 2: base offset (8), length (4), leader epoch (4), magic (1), CRC (4), attributes (2). */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const LENGTH_COUNTS_FROM = 12;

/**
 * Counts the record batches of a topic by the codec they are stored with, from the broker's own files: a producer
 * that quietly sent its batches uncompressed would otherwise make a test of that codec worthless.
 *
 * @param dataFolder Folder with one folder for each partition.
 * @returns Number of batches by codec name, control batches left out.
 */
export async function countStoredCodecs(dataFolder: string, topic: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const isPartition = (name: string): boolean =>
    name.startsWith(`${topic}-`) && /^\d+$/.test(name.slice(topic.length + 1));
  for (const folder of (await readdir(dataFolder)).filter(isPartition)) {
    for (const file of await readdir(join(dataFolder, folder))) {
      if (file.endsWith('.log')) countBatches(await readFile(join(dataFolder, folder, file)), counts);
    }
  }
  return counts;
}

function countBatches(log: Buffer, counts: Map<string, number>): void {
  let at = 0;
  while (at + ATTRIBUTES_AT + 2 <= log.length) {
    if (log[at + MAGIC_AT] !== 2) return;
    const attributes = log.readInt16BE(at + ATTRIBUTES_AT);
    const isControl = (attributes & 0x20) !== 0;
    const codec = CODECS[attributes & 7] ?? 'unknown';
    if (!isControl) counts.set(codec, (counts.get(codec) ?? 0) + 1);
    at += LENGTH_COUNTS_FROM + log.readInt32BE(at + LENGTH_AT);
  }
}

/** Path of the newest segment of a partition in the broker's own files. */
export async function findLogFile(dataFolder: string, topic: string, partition: number): Promise<string> {
  const folder = join(dataFolder, `${topic}-${partition}`);
  const newest = (await readdir(folder))
    .filter((file) => file.endsWith('.log'))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error(`${folder} holds no segment`);
  return join(folder, newest);
}
