import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { compress as zstdCompress } from '@mongodb-js/zstd';
import { compressFrameSync } from 'lz4-napi';
import snappy from 'snappy';
import { describe, expect, it } from 'vitest';
import { type Frame, snappyBound, zstdFrames } from '../../../src/decode/bounds.ts';
import { inflate as inflateIn } from '../../../src/decode/codecs.ts';
import { DecodeKernel } from '../../../src/decode/kernel.ts';
import { lz4Frames } from '../../../src/decode/lz4Frames.ts';
import { xerial } from './batchWriter.ts';

const PLACE = { topic: 'orders', partition: 3, offset: 1200 };
const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;
const MIB = 1024 * 1024;
const TEXT = Buffer.from('{"id":1,"name":"something that repeats"}'.repeat(5000));

const inflate = (codec: number, section: Buffer, maxBytes: number) =>
  inflateIn(codec, section, maxBytes, PLACE, new DecodeKernel());

/** 32 MiB of zeros, which every codec makes small. */
const ZEROS = Buffer.alloc(32 * MIB);

const block = (data: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(data.length);
  return Buffer.concat([length, data]);
};

function orRangeError(work: () => number): number | RangeError {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return error as RangeError;
  }
}

const boundOf = (frames: readonly Frame[]) => frames.reduce((sum, frame) => sum + frame.maxBytes, 0);

describe('sections that would inflate beyond the limit', () => {
  it.each<[string, number, () => Buffer | Promise<Buffer>, number]>([
    ['gzip', GZIP, () => zlib.gzipSync(ZEROS), MIB + 1],
    ['snappy', SNAPPY, () => snappy.compressSync(ZEROS), 32 * MIB],
    ['snappy', SNAPPY, () => xerial(ZEROS, 32768), 32 * MIB],
    ['lz4', LZ4, () => compressFrameSync(ZEROS), 32 * MIB],
    ['zstd', ZSTD, () => zstdCompress(ZEROS), 32 * MIB],
  ])('are refused in %s before they are inflated', async (name, codec, compress, inflatedBytes) => {
    const section = await compress();
    const before = process.memoryUsage.rss();
    expect(() => inflate(codec, section, MIB)).toThrow(
      expect.objectContaining({
        code: 'BATCH_TOO_LARGE',
        message:
          `cannot decode the record batch at offset 1200 of orders/3: its ${section.length} bytes (${name}) may inflate to ` +
          `${inflatedBytes}, and maxBatchBytes allows 1048576; raise maxBatchBytes if the batch is genuine`,
        context: { ...PLACE, codec: name, batchBytes: section.length, inflatedBytes, maxBatchBytes: MIB },
      }),
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(24 * MIB);
  });

  it('are refused where they are not compressed at all', () => {
    expect(() => inflate(0, Buffer.alloc(11), 10)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }));
  });

  it('are refused where many gzip members add up', () => {
    const member = zlib.gzipSync(Buffer.alloc(MIB / 2));
    const section = Buffer.concat([member, member, member]);
    expect(() => inflate(GZIP, section, MIB)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }));
  });

  it('are refused for a Snappy length that the block does not hold', () => {
    const section = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]);
    expect(() => inflate(SNAPPY, section, MIB)).toThrow(
      expect.objectContaining({
        code: 'BATCH_TOO_LARGE',
        context: expect.objectContaining({ inflatedBytes: 2 ** 32 - 1 }),
      }),
    );
  });

  it('are refused for zstd blocks that repeat one byte', () => {
    const frame = Buffer.concat([
      Buffer.from('28b52ffd0058', 'hex'),
      ...Array.from({ length: 100 }, (_, i) => {
        const header = Buffer.alloc(4);
        header.writeUIntLE(((128 * 1024) << 3) | (1 << 1) | (i === 99 ? 1 : 0), 0, 3);
        return header;
      }),
    ]);
    expect(boundOf(zstdFrames(frame))).toBe(100 * 128 * 1024);
    expect(() => inflate(ZSTD, frame, MIB)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }));
  });

  it('are refused for a zstd content size beyond it', () => {
    // Single segment, content size of 8 bytes: 2^40; one stored block of one byte.
    const frame = Buffer.from('28b52ffde000000000000100000900002a', 'hex');
    expect(() => inflate(ZSTD, frame, MIB)).toThrow(
      expect.objectContaining({ context: expect.objectContaining({ inflatedBytes: 2 ** 40 }) }),
    );
  });
});

describe('sections within the limit', () => {
  const half = TEXT.length / 2;
  const parts = [TEXT.subarray(0, half), TEXT.subarray(half)] as const;
  it.each<[string, number, () => Buffer | Promise<Buffer>]>([
    ['gzip', GZIP, () => zlib.gzipSync(TEXT)],
    ['gzip of two members', GZIP, () => Buffer.concat(parts.map((part) => zlib.gzipSync(part)))],
    ['snappy', SNAPPY, () => snappy.compressSync(TEXT)],
    ['snappy as Java frames it', SNAPPY, () => xerial(TEXT)],
    ['lz4', LZ4, () => compressFrameSync(TEXT)],
    ['lz4 with checksums', LZ4, () => compressFrameSync(TEXT, { blockChecksums: true, contentChecksum: true })],
    ['lz4 of two frames', LZ4, () => Buffer.concat(parts.map((part) => compressFrameSync(part)))],
    [
      'lz4 after a skippable frame',
      LZ4,
      () => Buffer.concat([Buffer.from('512a4d1803000000aabbcc', 'hex'), compressFrameSync(TEXT)]),
    ],
    ['zstd', ZSTD, () => zstdCompress(TEXT)],
    [
      'zstd of two frames',
      ZSTD,
      async () => Buffer.concat([await zstdCompress(parts[0]), await zstdCompress(parts[1])]),
    ],
  ])('inflate from %s', async (_name, codec, compress) => {
    expect((await inflate(codec, await compress(), 4 * MIB)).equals(TEXT)).toBe(true);
  });

  it('inflate from lz4 whose blocks build on one another', () => {
    const lz4 = Buffer.concat([
      Buffer.from('04224d184040c0', 'hex'),
      // Twelve literals; then a match of 24 bytes, 12 bytes back, with which the next block begins, and five literals.
      block(Buffer.concat([Buffer.from([0xc0]), Buffer.from('abcdefghijkl')])),
      block(Buffer.concat([Buffer.from([0x0f, 12, 0, 5, 0x50]), Buffer.from('vwxyz')])),
      Buffer.alloc(4),
    ]);
    expect(String(inflate(LZ4, lz4, MIB))).toBe(`${'abcdefghijkl'.repeat(3)}vwxyz`);
    const independent = Buffer.from(lz4);
    independent.writeUInt8(0x60, 4);
    expect(() => inflate(LZ4, independent, MIB)).toThrow(/the LZ4 block at byte 28 is malformed/);
  });

  it.each([
    [
      'matches that overlap what they copy, at every distance',
      (at: number) => Buffer.alloc(300, String(at).repeat(at)),
    ],
    ['literals of every length', (at: number) => randomBytes(at * 7)],
    ['blocks that do not get smaller', (at: number) => randomBytes(65_000 + at * 100)],
  ])('inflate from lz4 and snappy with %s', (_what, dataOf) => {
    const kernel = new DecodeKernel();
    for (let at = 1; at <= 64; at++) {
      const data = dataOf(at);
      const block = snappy.compressSync(data) as Buffer;
      expect(kernel.inflateSnappy([block]).equals(data), `${data.length} bytes`).toBe(true);
      const section = compressFrameSync(data);
      expect(kernel.inflateLz4(section, lz4Frames(section)).equals(data), `${data.length} bytes`).toBe(true);
    }
  });

  it('are refused or something else when they are damaged, and never more than the frame allows', () => {
    const kernel = new DecodeKernel();
    const block = snappy.compressSync(TEXT.subarray(0, 3000)) as Buffer;
    for (let at = 2; at < block.length; at++) {
      for (const bit of [0x01, 0x02, 0x10, 0x80, 0xff]) {
        const damaged = Buffer.from(block);
        damaged.writeUInt8((block[at] as number) ^ bit, at);
        const inflated = orRangeError(() => kernel.inflateSnappy([damaged]).length);
        if (typeof inflated === 'number') expect(inflated).toBe(3000);
      }
    }
    const section = compressFrameSync(TEXT.subarray(0, 3000));
    for (let at = 7; at < section.length; at++) {
      for (const bit of [0x01, 0x10, 0x80, 0xff]) {
        const damaged = Buffer.from(section);
        damaged.writeUInt8((section[at] as number) ^ bit, at);
        const inflated = orRangeError(() => kernel.inflateLz4(damaged, lz4Frames(damaged)).length);
        if (typeof inflated === 'number') expect(inflated).toBeLessThanOrEqual(boundOf(lz4Frames(damaged)));
      }
    }
  });

  it('come as they are where they are not compressed', () => {
    expect(inflate(0, TEXT, TEXT.length)).toBe(TEXT);
  });
});

it('collects what the native codecs have returned, long before V8 would', async () => {
  const section = zlib.gzipSync(Buffer.alloc(MIB));
  const before = process.memoryUsage().external;
  const most: number[] = [];
  for (let i = 0; i < 64; i++) {
    await inflate(GZIP, section, 4 * MIB);
    most.push(process.memoryUsage().external - before);
  }
  expect(Math.max(...most)).toBeLessThan(24 * MIB);
});

it('gives the event loop a turn every few megabytes, without which native buffers are never freed', async () => {
  const section = zlib.gzipSync(Buffer.alloc(MIB));
  const answers = Array.from({ length: 16 }, () => inflate(GZIP, section, 4 * MIB));
  expect(answers.filter((answer) => answer instanceof Promise)).toHaveLength(4);
  expect((await Promise.all(answers)).every((inflated) => inflated.length === MIB)).toBe(true);
});

it('bounds are never below what comes out, and not far above', async () => {
  for (const length of [0, 1, 100, 65_536, 65_537, 200_000]) {
    const data = TEXT.subarray(0, length);
    const lz4 = boundOf(lz4Frames(compressFrameSync(data)));
    const zstd = boundOf(zstdFrames(await zstdCompress(data)));
    expect(lz4).toBeGreaterThanOrEqual(length);
    expect(zstd).toBeGreaterThanOrEqual(length);
    expect(lz4).toBeLessThanOrEqual(length + 4 * MIB);
    expect(zstd).toBeLessThanOrEqual(length + 128 * 1024);
    expect(snappyBound(snappy.compressSync(data))).toBe(length);
  }
});
