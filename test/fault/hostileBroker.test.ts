import { gzipSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OffloadError } from '../../src/errors.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { type FetchAnswer, HostileBroker, type Hostility } from '../helpers/hostileBroker.ts';
import { outcomeOf, readRows, readSaved } from '../helpers/hostileReads.ts';
import { API } from '../helpers/proxyFrames.ts';
import { type BatchInput, varint, writeBatch } from '../unit/decode/batchWriter.ts';

/**
 * What is read of a broker that lies. The outcome is the rows, all of them, or one error of ours, in bounded time: never
 * rows less or twice, a hang, or memory as large as what was claimed.
 */
const ROWS = 8;
const READS = { readRows, readSaved };
type Read = keyof typeof READS;
const BOTH: readonly Read[] = ['readRows', 'readSaved'];
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
/** Several deadlines in a row, on a machine under load: what takes longer does not end. */
const MOST_MS = 60_000;

let log: readonly Buffer[];
let faults = 0;

beforeAll(async () => {
  log = await Promise.all([0, 1, 2, 3].map((index) => batch(2 * index)));
});

afterAll(() => countFaults({ kind: 'hostile broker' }, { faults }));

function batch(baseOffset: number, more: BatchInput = {}): Promise<Buffer> {
  const records = [0, 1].map((index) => ({ key: null, value: Buffer.from(`value ${baseOffset + index}`) }));
  return writeBatch(records, { baseOffset, ...more });
}

async function meet(read: Read, hostility: Hostility): Promise<number | OffloadError> {
  const broker = await HostileBroker.start(log, hostility);
  const began = performance.now();
  try {
    return await outcomeOf(READS[read], broker.port);
  } finally {
    faults += 1;
    broker.stop();
    expect(performance.now() - began).toBeLessThan(MOST_MS);
  }
}

async function expectError(read: Read, hostility: Hostility, code: string | RegExp): Promise<void> {
  const outcome = await meet(read, hostility);
  expect(outcome).toBeInstanceOf(OffloadError);
  const { code: found, message } = outcome as OffloadError;
  expect(found, message).toMatch(code);
  expect(message).not.toContain('\n');
}

test.each(['readRows', 'readSaved'] as const)('%s: an honest answer gives all rows', async (read) => {
  expect(await meet(read, {})).toBe(ROWS);
});

describe('every error code', () => {
  const RETRIED = [3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 51, 56, 74, 75, 78, 89];
  const codes = Array.from({ length: 132 }, (_, index) => index - 1).filter((code) => code !== 0);
  const places: readonly (readonly [string, (code: number) => Hostility])[] = [
    ['ApiVersions', (code) => ({ errorCodes: { [API.apiVersions]: code } })],
    ['Metadata', (code) => ({ errorCodes: { [API.metadata]: code } })],
    ['ListOffsets', (code) => ({ errorCodes: { [API.listOffsets]: code } })],
    ['Fetch, the partition', (code) => ({ errorCodes: { [API.fetch]: code } })],
    ['Fetch, the whole', (code) => ({ fetchError: code })],
  ];

  test.concurrent.each(places)('of %s: a clear error, or another try', async (place, hostility) => {
    // Saved offsets are read by the same requests.
    for (const read of place.startsWith('Fetch') || ALL ? BOTH : BOTH.slice(0, 1)) {
      const results = await inGroups(codes, async (code) => {
        const always = await meet(read, hostility(code));
        const once = await meet(read, { ...hostility(code), errorTimes: 1 });
        return { code, always, once };
      });
      for (const { code, always, once } of results) {
        const what = `${read}, code ${code}: ${String(always)}`;
        // A topic that is not known is no error here: the caller says so.
        if (place === 'Metadata' && code === 3) expect(always, what).toBe(-1);
        // The log has moved: what is there is read, or its loss is told.
        else if (place.startsWith('Fetch') && code === 1)
          expect([0, 'OFFSET_LOST', 'OFFSET_OUT_OF_RANGE'], what).toContain(codeOf(always));
        else {
          expect(always, what).toBeInstanceOf(OffloadError);
          expect((always as OffloadError).code, what).not.toBe('INTERNAL');
          expect((always as OffloadError).message, what).toMatch(/: ([A-Z_]{9,}|error -?\d+ of the Kafka protocol)/);
        }
        const isRetried = RETRIED.includes(code);
        if (isRetried) expect(once, what).toBe(ROWS);
      }
    }
  });
});

function codeOf(outcome: number | OffloadError): unknown {
  return outcome instanceof OffloadError ? outcome.code : outcome;
}

/** Results in order; some cases at a time, since most of them wait. */
async function inGroups<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += 12) {
    results.push(...(await Promise.all(items.slice(start, start + 12).map(act))));
  }
  return results;
}

describe.each(['readRows', 'readSaved'] as const)('%s: frames that lie', (read) => {
  const frames: readonly (readonly [string, (frame: Buffer) => Buffer | null])[] = [
    ['never come', () => null],
    ['answer another request', (frame) => patched(frame, (copy) => copy.writeInt32BE(copy.readInt32BE(4) + 1, 4))],
    ['have a negative length', (frame) => patched(frame, (copy) => copy.writeInt32BE(-1, 0))],
    ['claim 2^31 - 1 bytes', (frame) => patched(frame, (copy) => copy.writeInt32BE(2 ** 31 - 1, 0))],
    ['claim as many bytes as are accepted', (frame) => patched(frame, (copy) => copy.writeInt32BE(2 ** 30, 0))],
    ['have no bytes', () => Buffer.alloc(4)],
    ['are longer than they say', (frame) => Buffer.concat([frame, Buffer.alloc(10, 0x7f)])],
    ['are shorter than they say', (frame) => frame.subarray(0, -1)],
    [
      'are shorter, and say so',
      (frame) => patched(frame.subarray(0, -3), (copy) => copy.writeInt32BE(copy.length - 4, 0)),
    ],
    ['come twice', (frame) => Buffer.concat([frame, frame])],
    ['are bytes of anything', (frame) => patched(frame, (copy) => copy.fill(0xa5, 8))],
    ['are text', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ];

  test.concurrent.each(frames)('answers that %s', async (what, alter) => {
    for (const api of [API.apiVersions, API.metadata, API.listOffsets, API.fetch]) {
      const outcome = await meet(read, { frame: (asked, frame) => (asked === api ? alter(frame) : frame) });
      // What comes behind a whole answer belongs to none: the connection may have done its work by then.
      if (/longer|twice/.test(what) && outcome === ROWS) continue;
      expect(outcome, `request ${api}`).toBeInstanceOf(OffloadError);
      expect((outcome as OffloadError).code).toMatch(
        /^BROKER_(UNREACHABLE|TIMEOUT|REFUSED)$|^FORMAT_UNSUPPORTED$|^LEADER_MOVED$/,
      );
    }
  });

  test.concurrent('bodies that end early, at each byte', async () => {
    for (const api of [API.metadata, API.listOffsets, API.fetch]) {
      let length = Number.POSITIVE_INFINITY;
      const measure = (asked: number, body: Buffer): Buffer => {
        if (asked === api) length = Math.min(length, body.length);
        return body;
      };
      await meet(read, { body: measure });
      const step = Math.max(1, Math.floor(length / 24));
      const cuts = Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
      const outcomes = await inGroups(cuts, (cut) =>
        meet(read, { body: (asked, body) => (asked === api ? body.subarray(0, cut) : body) }),
      );
      for (const outcome of outcomes) expect(codeOf(outcome)).toMatch(/^BROKER_(UNREACHABLE|TIMEOUT)$/);
    }
  });

  test.concurrent('counts and lengths of 2^31 - 1, and below 0, at each byte', async () => {
    for (const api of [API.apiVersions, API.metadata, API.listOffsets, API.fetch]) {
      const places = Array.from({ length: 24 }, (_, index) => 2 * index);
      for (const word of [0x7fffffff, 0xffffffff, 0x80000000]) {
        const outcomes = await inGroups(places, (place) =>
          meet(read, {
            body: (asked, body) =>
              asked === api && place + 4 <= body.length
                ? patched(body, (copy) => copy.writeUInt32BE(word, place))
                : body,
          }),
        );
        for (const [index, outcome] of outcomes.entries()) {
          const what = `request ${api}, byte ${2 * index}: ${String(outcome)}`;
          if (typeof outcome === 'number') expect([ROWS, 0, -1], what).toContain(outcome);
          else expect(outcome.code, what).not.toBe('INTERNAL');
        }
      }
    }
  });
});

function patched(bytes: Buffer, patch: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(bytes);
  patch(copy);
  return copy;
}

describe('record batches that lie', () => {
  const bytes = (...parts: (Buffer | number)[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? varint(part) : part)));
  const section = (record: Buffer): BatchInput => ({ section: record });
  const endless = Buffer.alloc(40, 0xff);
  const header = (patch: (copy: Buffer) => unknown) => async (): Promise<Buffer> => patched(await batch(0), patch);
  const body = (more: BatchInput) => (): Promise<Buffer> => batch(0, more);
  const bomb = (codec: 'gzip' | 'snappy' | 'xerial' | 'lz4' | 'zstd') =>
    body({ codec, section: Buffer.alloc(64 * 1024 ** 2) });

  const cases: readonly (readonly [string, () => Promise<Buffer>, string])[] = [
    ['a damaged checksum', header((copy) => copy.writeUInt8(copy.readUInt8(70) ^ 1, 70)), 'BATCH_CORRUPT'],
    ['a negative length', header((copy) => copy.writeInt32BE(-1, 8)), 'BATCH_(CORRUPT|TOO_LARGE)'],
    ['a length of 2^31 - 1', header((copy) => copy.writeInt32BE(2 ** 31 - 1, 8)), 'BATCH_(CORRUPT|TOO_LARGE)'],
    ['a length of a header alone', header((copy) => copy.writeInt32BE(10, 8)), 'BATCH_(CORRUPT|TOO_LARGE)'],
    ['a base offset below 0', header((copy) => copy.writeBigInt64BE(-5n, 0)), 'BATCH_CORRUPT'],
    ['a base offset of 2^62', header((copy) => copy.writeBigInt64BE(2n ** 62n, 0)), 'BATCH_CORRUPT'],
    ['a last offset below the first', body({ lastOffsetDelta: -2 }), 'BATCH_CORRUPT'],
    ['2^31 - 1 records', body({ recordCount: 2 ** 31 - 1, lastOffsetDelta: 2 ** 31 - 1 }), 'BATCH_CORRUPT'],
    ['records below 0', body({ recordCount: -1 }), 'BATCH_CORRUPT'],
    ['magic 1', body({ magic: 1 }), 'FORMAT_UNSUPPORTED'],
    ['codec 7', header((copy) => checked(copy, () => copy.writeInt16BE(7, 21))), 'FORMAT_UNSUPPORTED'],
    ['a record of a length below 0', body(section(bytes(-5, endless))), 'BATCH_CORRUPT'],
    ['a record of 2^31 - 1 bytes', body(section(bytes(2 ** 31 - 1, endless))), 'BATCH_CORRUPT'],
    ['an endless varint', body(section(endless)), 'BATCH_CORRUPT'],
    ['a value of 2^31 - 1 bytes', body(section(bytes(20, 0, 0, 0, -1, 2 ** 31 - 1, endless))), 'BATCH_CORRUPT'],
    ['2^31 - 1 headers', body(section(bytes(20, 0, 0, 0, -1, -1, 2 ** 31 - 1, endless))), 'BATCH_CORRUPT'],
    ['nothing that inflates', body({ codec: 'gzip', compressed: Buffer.alloc(50, 0x41) }), 'BATCH_CORRUPT'],
    ['64 MiB in gzip', bomb('gzip'), 'BATCH_TOO_LARGE'],
    ['64 MiB in snappy', bomb('snappy'), 'BATCH_TOO_LARGE'],
    ['64 MiB in framed snappy', bomb('xerial'), 'BATCH_TOO_LARGE'],
    ['64 MiB in lz4', bomb('lz4'), 'BATCH_TOO_LARGE'],
    ['64 MiB in zstd', bomb('zstd'), 'BATCH_TOO_LARGE'],
    ['many members of gzip', body({ codec: 'gzip', compressed: members(40) }), 'BATCH_TOO_LARGE'],
  ];

  test.concurrent.each(cases)('a batch with %s', async (_, make, code) => {
    const records = await make();
    for (const read of ['readRows', 'readSaved'] as const) {
      // The topic of saved offsets allows batches of 64 MiB.
      if (read === 'readSaved' && code === 'BATCH_TOO_LARGE') continue;
      await expectError(read, { fetch: () => ({ records }) }, new RegExp(`^${code}$`));
    }
  });

  /** Sixty-four KiB each. */
  function members(count: number): Buffer {
    return Buffer.concat(Array.from({ length: count }, () => gzipSync(Buffer.alloc(65_536))));
  }
});

/** With the checksum that the change asks for. */
function checked(copy: Buffer, change: () => unknown): void {
  change();
  copy.writeUInt32BE(crc32c(copy.subarray(21)), 17);
}

describe('answers that lead nowhere', () => {
  const cases: readonly (readonly [string, () => Hostility, string])[] = [
    ['the first batch again and again', () => ({ fetch: () => ({ records: log[0] as Buffer }) }), 'BATCH_CORRUPT'],
    [
      'a batch that is always cut short',
      () => ({ fetch: () => ({ records: (log[0] as Buffer).subarray(0, 40) }) }),
      'BATCH_(CORRUPT|TOO_LARGE)',
    ],
    [
      'a throttle of days, again and again',
      () => ({ fetch: () => nothing({ throttleMs: 2 ** 31 - 1 }) }),
      'BROKER_TIMEOUT',
    ],
    ['a throttle, again and again', () => ({ fetch: () => nothing({ throttleMs: 5 }) }), 'BROKER_TIMEOUT'],
    ['an end that moves back', () => ({ fetch: () => nothing({ highWatermark: 1 }) }), 'LEADER_MOVED|BROKER_TIMEOUT'],
    ['messages of another partition', () => ({ fetch: () => ({ partition: 3 }) }), 'BROKER_UNREACHABLE'],
    ['messages of another topic', () => ({ fetch: () => ({ topic: 'other' }) }), 'BROKER_UNREACHABLE'],
    ['no leader', () => ({ partitions: [{ partition: 0, leader: -1 }] }), 'LEADER_MOVED'],
    ['a leader that is not known', () => ({ partitions: [{ partition: 0, leader: 7 }] }), 'LEADER_MOVED'],
    ['no brokers', () => ({ brokers: [] }), 'LEADER_MOVED'],
    [
      'a port out of range',
      () => ({ brokers: [{ nodeId: 1, host: '127.0.0.1', port: 70_000 }] }),
      'BROKER_UNREACHABLE',
    ],
    ['a port below 0', () => ({ brokers: [{ nodeId: 1, host: '127.0.0.1', port: -1 }] }), 'BROKER_UNREACHABLE'],
    [
      'a host that does not resolve',
      () => ({ brokers: [{ nodeId: 1, host: 'no.such.host.invalid', port: 9092 }] }),
      'BROKER_(UNREACHABLE|TIMEOUT)',
    ],
    [
      'a host that is no name',
      () => ({ brokers: [{ nodeId: 1, host: '\u0000\n', port: 9092 }] }),
      'BROKER_(UNREACHABLE|TIMEOUT)',
    ],
    [
      'a partition twice',
      () => ({ partitions: [0, 0].map((partition) => ({ partition, leader: 1 })) }),
      'BROKER_UNREACHABLE',
    ],
    ['a partition below 0', () => ({ partitions: [{ partition: -1, leader: 1 }] }), 'BROKER_UNREACHABLE'],
    ['offsets without the partition', () => ({ listOffset: () => null }), 'BROKER_UNREACHABLE'],
    [
      'an end beyond all numbers',
      () => ({
        body: (api, body) =>
          api === API.listOffsets ? patched(body, (copy) => copy.fill(0x7f, copy.length - 12, copy.length - 4)) : body,
      }),
      'BROKER_UNREACHABLE',
    ],
  ];

  test.concurrent.each(cases)('%s', async (_, hostility, code) => {
    for (const read of ['readRows', 'readSaved'] as const)
      await expectError(read, hostility(), new RegExp(`^(${code})$`));
  });

  test('a replica that is not known: messages are not read, saved offsets are read from the leader alone', async () => {
    const hostility: Hostility = {
      fetch: (_offset, version) => (version < 11 ? {} : nothing({ preferredReadReplica: 99 })),
    };
    await expectError('readRows', hostility, /^LEADER_MOVED$/);
    expect(await meet('readSaved', hostility)).toBe(ROWS);
  });

  test('two brokers that send one another', async () => {
    const other = await HostileBroker.start(log, { fetch: () => nothing({ preferredReadReplica: 1 }) });
    const one = await HostileBroker.start(log);
    one.hostility = {
      brokers: [one, other].map(({ port }, index) => ({ nodeId: index + 1, host: '127.0.0.1', port })),
      fetch: () => nothing({ preferredReadReplica: 2 }),
    };
    const outcome = await outcomeOf(readRows, one.port);
    expect(codeOf(outcome)).toBe('LEADER_MOVED');
    expect(other.answers.get(API.fetch)).toBeLessThan(100);
    for (const broker of [one, other]) broker.stop();
  });

  test('ten thousand partitions are looked at in bounded time', async () => {
    const partitions = Array.from({ length: 10_000 }, (_, partition) => ({ partition, leader: 1 }));
    const broker = await HostileBroker.start(log, { partitions, listOffset: () => 0 });
    expect(await outcomeOf(readRows, broker.port, 100)).toBe(0);
    broker.stop();
  });

  /** No records, and the end where it was. */
  function nothing(more: FetchAnswer): FetchAnswer {
    return { records: Buffer.alloc(0), ...more };
  }
});
