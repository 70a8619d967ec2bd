import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ConfigFile, offloadReport, temporaryFolder, writeConfig } from '../helpers/command.ts';
import { ORACLE_FIELDS, Oracle } from '../helpers/oracle.ts';
import {
  CODECS,
  type Codec,
  PRODUCERS,
  type ProducerKind,
  produce,
  readPositions,
  readTopic,
} from '../helpers/producers.ts';
import { countStoredCodecs } from '../helpers/segments.ts';
import { TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';
import { MIXED_PARTITIONS, writeCompactedScript, writeMixedScript } from '../helpers/workload.ts';
import { OFFSETS_MODES, type OffsetsMode, sorted } from '../helpers/workspace.ts';

/**
 * Every codec by each of two clients, with everything a topic can hold, offloaded by the real command in both offset
 * modes and compared row by row with what the producing side recorded.
 */

const CREATE_TIME_MESSAGES = 60_000;
const LOG_APPEND_TIME_MESSAGES = 10_000;
const COMPACTED_MESSAGES = 24_000;

const bootstrapServers = inject('bootstrapServers');
const brokerDataFolder = inject('brokerDataFolder');

let folder: { path: string; remove: () => Promise<void> };
let topics: TestTopics;
let oracle: Oracle;

beforeAll(async () => {
  folder = await temporaryFolder();
  topics = new TestTopics(bootstrapServers);
  oracle = await Oracle.open();
  // One set of scripts for all codecs and both clients; numbers are different in each, so that all fit one table.
  const mixed = await writeMixedScript(script('mixed'), { firstNumber: 0, committed: CREATE_TIME_MESSAGES, seed: 1 });
  const later = { firstNumber: mixed, committed: LOG_APPEND_TIME_MESSAGES, seed: 2 };
  const appended = await writeMixedScript(script('logAppend'), later);
  const many = { firstNumber: appended, messages: COMPACTED_MESSAGES, seed: 3 };
  const compacted = await writeCompactedScript(script('compacted'), many);
  // What comes after closes the segments before: the cleaner leaves the newest segment of a partition alone.
  await writeCompactedScript(script('tail'), { firstNumber: compacted, messages: 800, seed: 4 });
  for (const name of ['mixed', 'logAppend', 'compacted', 'tail']) await oracle.addScript(script(name));
});

afterAll(async () => {
  oracle.close();
  await topics.cleanUp();
  await folder.remove();
});

describe.each(PRODUCERS)('produced by %s', (producer) => {
  test.each(CODECS)('%s: every committed message is in the files exactly once, in both offset modes', async (codec) => {
    const topic = await topics.create(`mixed-${producer}-${codec}`, {
      partitions: MIXED_PARTITIONS,
      properties: { 'message.timestamp.type': 'CreateTime' },
    });
    const first = await run(producer, codec, topic, 'mixed');
    await topics.alter(topic, { 'message.timestamp.type': 'LogAppendTime' });
    const second = await run(producer, codec, topic, 'logAppend');
    await oracle.expect([first, second]);
    const total = CREATE_TIME_MESSAGES + LOG_APPEND_TIME_MESSAGES;
    expect(await oracle.count('produced')).toBe(total);
    expect(await oracle.number('SELECT count(*) FROM produced WHERE timestamp_type = 1')).toBe(
      LOG_APPEND_TIME_MESSAGES,
    );
    await expectCodecOnDisk(topic, codec);
    await expectOffloaded(topic, total);
  });

  test.each(CODECS)('%s: what compaction left of a topic is in the files exactly once', async (codec) => {
    const topic = await topics.create(`compacted-${producer}-${codec}`, {
      partitions: MIXED_PARTITIONS,
      properties: {
        'cleanup.policy': 'compact',
        'min.cleanable.dirty.ratio': '0.001',
        'segment.ms': '300',
        'segment.bytes': '1048576',
        'delete.retention.ms': '86400000',
      },
    });
    const records = [await run(producer, codec, topic, 'compacted')];
    const positions = join(folder.path, `${topic}.positions`);
    let tails = 0;
    await waitFor(
      `${topic} to be compacted`,
      async () => {
        // A record appended once segment.ms has passed closes the segment; repeated, should the first come too early.
        if (tails < 10) records.push(await run('librdkafka', codec, topic, 'tail', `tail${tails++}`));
        const left = await readPositions(bootstrapServers, topic);
        await writeFile(positions, left.join('\n'));
        await oracle.expect(records);
        return left.length < (await oracle.count('produced')) / 2;
      },
      { timeoutMs: 240_000, everyMs: 500 },
    );
    // Compaction ends here, so that what a client reads now is what the command reads later.
    await topics.alter(topic, { 'cleanup.policy': 'delete', 'retention.ms': '-1' });
    await writeFile(positions, (await readPositions(bootstrapServers, topic)).join('\n'));
    await oracle.expect(records, positions);
    await expectCodecOnDisk(topic, codec);
    await expectOffloaded(topic, await oracle.count('produced'));
  });
});

function script(name: string): string {
  return join(folder.path, `${name}.jsonl`);
}

async function run(producer: ProducerKind, codec: Codec, topic: string, name: string, as = name): Promise<string> {
  const recordPath = join(folder.path, `${topic}.${as}.csv`);
  await produce(producer, { bootstrapServers, topic, codec, scriptPath: script(name), recordPath });
  return recordPath;
}

/** A client may send a batch uncompressed when that is shorter: some batches, never most of them. */
async function expectCodecOnDisk(topic: string, codec: Codec): Promise<void> {
  // On a broker that is not ours there are no files to look at.
  if (brokerDataFolder === '') return;
  const stored = await countStoredCodecs(brokerDataFolder, topic);
  const all = [...stored.values()].reduce((sum, count) => sum + count, 0);
  expect(
    (stored.get(codec) ?? 0) / all,
    `batches of ${topic} by codec: ${JSON.stringify([...stored])}`,
  ).toBeGreaterThan(0.5);
}

async function expectOffloaded(topic: string, rows: number): Promise<void> {
  const ends = await topics.endOffsets(topic);
  const offload = async (mode: OffsetsMode): Promise<void> => {
    const work = join(folder.path, `${topic}.${mode}`);
    const offsets = mode === 'FILE' ? join(work, 'offsets') : topics.reserve('offsets');
    const config: ConfigFile = {
      bootstrapServers,
      mode,
      offsets,
      topics: { all: { topicName: topic, fields: ORACLE_FIELDS } },
    };
    const path = await writeConfig(folder.path, config, `${topic}.${mode}.yaml`);
    const out = join(work, 'out');
    const report = await offloadReport(['--conf', path, '--config', 'all', '--write-path', out], { cwd: folder.path });

    const difference = await oracle.compare([join(out, '*.parquet')]);
    expect({ ...difference, reported: report.rows }, mode).toEqual({
      ...{ produced: rows, found: rows, reported: rows },
      ...{ missing: 0, unexpected: 0, examples: [] },
    });
    expect(await savedOffsets(mode, offsets)).toEqual(ends.map((end, partition) => `${partition},${end}`));
  };
  await Promise.all(OFFSETS_MODES.map(offload));
}

/** Saved offsets as other tools read them, "PARTITION,OFFSET" each, in partition order. */
async function savedOffsets(mode: OffsetsMode, offsets: string): Promise<string[]> {
  if (mode === 'FILE') {
    const text = await readFile(join(offsets, 'all'), 'utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^- "(.*)"$/, '$1'));
  }
  const saved = new Map<string, string>();
  for (const message of await readTopic(bootstrapServers, offsets)) {
    const key = message.key?.toString() ?? '';
    if (key.startsWith('all/')) saved.set(key.slice(4), message.value?.toString() ?? '');
  }
  return sorted([...saved].map(([partition, offset]) => `${partition},${offset}`));
}
