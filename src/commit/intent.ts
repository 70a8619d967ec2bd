/**
 * The intent of a run in its two forms: the whole of it, `intent.json` in the staging folder (a list of files can
 * exceed a Kafka message), and the small record that is the point of no return, with the size and CRC-32C of the whole.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { OffloadError } from '../errors.ts';
import { type FileSystem, unlessAbsent } from '../io.ts';
import type { PartitionOffset } from '../tasks.ts';
import { isRunId, isStagingPathOf } from './names.ts';
import type { Owner } from './owner.ts';
import type { Intent } from './types.ts';

export const INTENT_FILE = 'intent.json';

export interface IntentRecord {
  readonly config: string;
  readonly run: string;
  /** Of the run that prepared: its staging is on this host. */
  readonly host: string;
  readonly stagingPath: string;
  readonly previous: readonly PartitionOffset[];
  readonly next: readonly PartitionOffset[];
  readonly intentBytes: number;
  readonly intentCrc32c: number;
  readonly manifestCrc32c: number;
  readonly topics: readonly string[];
  readonly topicIds: Readonly<Record<string, string>>;
}

export function encodeIntent(intent: Intent): Buffer {
  return Buffer.from(`${JSON.stringify(intent)}\n`);
}

export function makeIntentRecord(
  intent: Intent,
  encoded: Buffer,
  about: { readonly owner: Owner; readonly topics: readonly string[]; readonly manifest: Buffer },
): IntentRecord {
  return {
    config: intent.config,
    run: intent.run,
    host: about.owner.host,
    stagingPath: intent.stagingPath,
    previous: intent.previous,
    next: intent.next,
    intentBytes: encoded.byteLength,
    intentCrc32c: crc32c(encoded),
    manifestCrc32c: crc32c(about.manifest),
    topics: about.topics,
    topicIds: intent.topicIds,
  };
}

/** One line of JSON. Offsets stand as `{"TOPIC": [[PARTITION, PREVIOUS, NEXT], ...]}`: 10,000 partitions fit a message. */
export function formatIntentRecord(record: IntentRecord): string {
  const { previous, next, ...rest } = record;
  const offsets: Record<string, (number | null)[][]> = {};
  next.forEach((entry, index) => {
    offsets[entry.topic] ??= [];
    offsets[entry.topic]?.push([entry.partition, previous[index]?.offset ?? null, entry.offset]);
  });
  return JSON.stringify({ version: 1, ...rest, offsets });
}

/** Null if the text is no intent record of this version. */
export function parseIntentRecord(text: string): IntentRecord | null {
  let value: Partial<Record<string, unknown>>;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const isText = (...names: string[]): boolean => names.every((name) => typeof value[name] === 'string');
  const isCount = (...names: string[]): boolean => names.every((name) => Number.isSafeInteger(value[name]));
  if (typeof value !== 'object' || value === null || value.version !== 1) return null;
  if (!isText('config', 'run', 'host', 'stagingPath')) return null;
  if (!isCount('intentBytes', 'intentCrc32c', 'manifestCrc32c')) return null;
  const offsets = value.offsets as Record<string, [number, number | null, number][]> | undefined;
  const { config, run, host, stagingPath, intentBytes, intentCrc32c, manifestCrc32c } =
    value as unknown as IntentRecord;
  if (typeof offsets !== 'object' || offsets === null || !isRunId(run)) return null;
  const previous: PartitionOffset[] = [];
  const next: PartitionOffset[] = [];
  for (const [topic, entries] of Object.entries(offsets)) {
    for (const [partition, from, to] of entries) {
      if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(to)) return null;
      previous.push({ topic, partition, offset: from });
      next.push({ topic, partition, offset: to });
    }
  }
  return {
    config,
    run,
    host,
    stagingPath,
    previous,
    next,
    intentBytes,
    intentCrc32c,
    manifestCrc32c,
    topics: Array.isArray(value.topics) ? value.topics.map(String) : Object.keys(offsets),
    topicIds: (value.topicIds as Record<string, string> | undefined) ?? {},
  };
}

/**
 * The whole intent from its staging folder, or null if that is not there.
 *
 * @throws OffloadError RECOVERY_BLOCKED if `intent.json` is not the one that was prepared.
 */
export async function loadIntent(fs: FileSystem, record: IntentRecord): Promise<Intent | null> {
  const path = join(record.stagingPath, INTENT_FILE);
  if (!isStagingPathOf(record.stagingPath, record.run)) {
    throw blocked(record, `its staging path ${record.stagingPath} is not one that kafkaload makes`);
  }
  const bytes = await unlessAbsent(fs.readFile(path));
  if (!bytes) return null;
  if (bytes.byteLength !== record.intentBytes || crc32c(bytes) !== record.intentCrc32c) {
    const found = `${bytes.byteLength} bytes, CRC-32C ${crc32c(bytes)}`;
    throw blocked(
      record,
      `${path} has ${found} instead of ${record.intentBytes} bytes, CRC-32C ${record.intentCrc32c}`,
    );
  }
  const intent = JSON.parse(bytes.toString('utf8')) as Intent;
  if (intent.version !== 1 || intent.run !== record.run || intent.config !== record.config) {
    throw blocked(record, `${path} belongs to run ${intent.run} of config ${intent.config}`);
  }
  return intent;
}

/** A prepared run that cannot be finished from here; nothing was committed. */
export function blocked(record: IntentRecord, why: string): OffloadError {
  return new OffloadError(
    'RECOVERY_BLOCKED',
    `cannot finish run ${record.run} of config ${record.config}, prepared on host ${record.host}: ${why}; ` +
      `nothing was committed; run again where ${record.stagingPath} can be read`,
    { context: { config: record.config, run: record.run, host: record.host, path: record.stagingPath } },
  );
}
