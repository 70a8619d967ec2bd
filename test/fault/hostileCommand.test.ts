import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCommand, temporaryFolder, writeConfig } from '../helpers/command.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { HOSTILE_TOPIC, HostileBroker, type Hostility } from '../helpers/hostileBroker.ts';
import { API } from '../helpers/proxyFrames.ts';
import { type BatchInput, writeBatch } from '../unit/decode/batchWriter.ts';

/**
 * The whole command against a broker that lies: one clear line, exit status 1, nothing published, and no more memory
 * than a run takes: what a batch of some kilobytes claims to hold is looked at before it is inflated.
 */
const BOMB_BYTES = 1024 ** 3;
const HEAP_MIB = 512;
/** Of a run that reads little; a bomb of a gigabyte would be far beyond it. */
const MOST_RSS_MIB = 700;
const ALL = process.env.KAFKALOAD_FAULTS === 'all';

let folder: { path: string; remove: () => Promise<void> };
let runs = 0;
let honest: Buffer;

beforeAll(async () => {
  folder = await temporaryFolder();
  honest = await batch();
});

afterAll(async () => {
  countFaults({ kind: 'hostile broker', layout: 'folder' }, { faults: runs });
  await folder.remove();
});

function batch(more: BatchInput = {}): Promise<Buffer> {
  return writeBatch([{ key: null, value: Buffer.from('value') }], more);
}

/** A gigabyte in pieces of 64 MiB that are written once each. */
async function bomb(codec: 'gzip' | 'zstd' | 'lz4'): Promise<Buffer> {
  const piece = await batch({ codec, section: Buffer.alloc(BOMB_BYTES / 16) });
  const compressed = piece.subarray(61);
  return batch({ codec, compressed: Buffer.concat(Array<Buffer>(16).fill(compressed)) });
}

const cases: readonly (readonly [string, () => Promise<Hostility>, RegExp])[] = [
  ['a gigabyte in gzip', async () => sending(await bomb('gzip')), /may inflate to \d+, and maxBatchBytes allows/],
  ['a gigabyte in zstd', async () => sending(await bomb('zstd')), /may inflate to \d+, and maxBatchBytes allows/],
  ['a gigabyte in lz4', async () => sending(await bomb('lz4')), /may inflate to \d+, and maxBatchBytes allows/],
  [
    'the same batch for ever',
    async () => ({ ...sending(honest), listOffset: (_, time) => (time === -2 ? 0 : 9) }),
    /sent record batches that end at 1/,
  ],
  [
    'a damaged checksum',
    async () => sending(Buffer.concat([honest.subarray(0, -1), Buffer.from([0x7f])])),
    /its checksum is 0x/,
  ],
  [
    'answers of a gigabyte that never come',
    async () => claiming(2 ** 30),
    /did not answer Fetch within|no broker|failed/,
  ],
  ['no leaders', async () => ({ partitions: [{ partition: 0, leader: -1 }] }), /has no leader at the moment/],
  ['an error that nobody knows', async () => ({ errorCodes: { [API.fetch]: 131 } }), /error 131 of the Kafka protocol/],
];

function sending(records: Buffer): Hostility {
  return { fetch: () => ({ records }) };
}

function claiming(length: number): Hostility {
  const frame = (api: number, bytes: Buffer): Buffer => {
    if (api === API.fetch) bytes.writeInt32BE(length, 0);
    return bytes;
  };
  return { frame };
}

test.each(ALL ? cases : cases.filter((_, index) => index === 0 || index === 3 || index >= 5))(
  '%s',
  async (name, hostility, message) => {
    const broker = await HostileBroker.start([honest], await hostility());
    const conf = await writeConfig(
      folder.path,
      {
        bootstrapServers: `127.0.0.1:${broker.port}`,
        mode: 'FILE',
        offsets: join(folder.path, `offsets-${runs}`),
        topics: {
          one: {
            topicName: HOSTILE_TOPIC,
            accessOptions: { 'default.api.timeout.ms': 2_000, 'socket.timeout.ms': 1_000 },
          },
        },
      },
      `conf-${runs}.yaml`,
    );
    const out = join(folder.path, `out-${runs}`);
    runs += 1;
    const env = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` };
    const run = startCommand(['--conf', conf, '--config', 'one', '--write-path', out], { cwd: folder.path, env });
    const memory = new PeakMemory(run.child.pid ?? 0);
    try {
      const { code, stderr } = await run.result;
      expect(code, `${name}: ${stderr}`).toBe(1);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(message);
      if (memory.mib !== null) expect(memory.mib).toBeLessThan(MOST_RSS_MIB);
    } finally {
      memory.stop();
      broker.stop();
    }
  },
);

/** The most memory a process had so far, where the system tells (Linux). */
class PeakMemory {
  mib: number | null = null;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      try {
        const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
        if (kib !== undefined) this.mib = Number(kib) / 1024;
      } catch {
        // It has ended, or there is no such file here.
      }
    }, 20);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
