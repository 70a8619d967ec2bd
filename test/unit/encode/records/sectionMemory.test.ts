import fc from 'fast-check';
import { decompressFrameSync } from 'lz4-napi';
import { describe, expect, test } from 'vitest';
import { SectionMemory } from '../../../../src/encode/records/sectionMemory.ts';

const KIB = 1024;
const FRAME_START_BYTES = 7;

function compress(memory: SectionMemory, section: Buffer): Buffer {
  const room = memory.reserve(section.length + 100);
  section.copy(room);
  return Buffer.from(memory.compressLz4(room.subarray(0, section.length)));
}

/** The blocks of a frame as the format numbers them: the largest a block may be, and what each holds. */
function blocksOf(frame: Buffer): { data: Buffer; isStored: boolean }[] {
  const blocks = [];
  for (let at = FRAME_START_BYTES; ; ) {
    const word = frame.readUInt32LE(at);
    if (word === 0) return blocks;
    const bytes = word & 0x7fffffff;
    blocks.push({ data: frame.subarray(at + 4, at + 4 + bytes), isStored: word >>> 31 === 1 });
    at += 4 + bytes;
  }
}

/** Literals of the last sequence of a block, and how far before its end the last match begins; null: it has none. */
function endOf(block: Buffer): { literals: number; lastMatch: number | null } {
  let at = 0;
  let inflated = 0;
  let lastMatchAt: number | null = null;
  const more = (nibble: number): number => {
    let length = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; length += byte) byte = block.readUInt8(at++);
    return length;
  };
  for (;;) {
    const token = block.readUInt8(at++);
    const literals = more(token >>> 4);
    at += literals;
    inflated += literals;
    if (at === block.length) return { literals, lastMatch: lastMatchAt === null ? null : inflated - lastMatchAt };
    at += 2;
    lastMatchAt = inflated;
    inflated += more(token & 15) + 4;
  }
}

/** Runs, repeats from near and far, and bytes that do not repeat. */
const sections = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => ({ bytes: Buffer.from(bytes), times: 1 })),
      fc.record({
        bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
        times: fc.integer({ min: 1, max: 400 }),
      }),
      fc.constantFrom('{"id":1,"event":"click"}', 'user-17', '0'.repeat(70_000)).map((text) => ({
        bytes: Buffer.from(text),
        times: 1,
      })),
    ),
    { minLength: 1, maxLength: 30 },
  )
  .map((parts) => Buffer.concat(parts.flatMap(({ bytes, times }) => Array.from({ length: times }, () => bytes))));

describe('LZ4 made in the memory of a section', () => {
  test('is read by another library as it was written, and ends as the format asks', () => {
    const memory = new SectionMemory();
    fc.assert(
      fc.property(sections, (section) => {
        const frame = compress(memory, section);
        expect(decompressFrameSync(frame).equals(section)).toBe(true);
        for (const { data, isStored } of blocksOf(frame)) {
          if (isStored) continue;
          const { literals, lastMatch } = endOf(data);
          if (lastMatch === null) continue;
          expect(literals).toBeGreaterThanOrEqual(5);
          expect(lastMatch).toBeGreaterThanOrEqual(12);
        }
      }),
      { numRuns: 300 },
    );
  });

  test.each([1, 2, 4, 5, 12, 13, 64 * KIB, 64 * KIB + 1, 256 * KIB + 1, KIB ** 2, KIB ** 2 + 1, 9 * KIB ** 2 + 5])(
    'is whole for %i bytes, with a block size that holds them or the largest',
    (length) => {
      const memory = new SectionMemory();
      const text = Buffer.alloc(length, 'every record of a section looks like the one before it; ');
      let state = 1;
      const noise = Buffer.alloc(length).map(() => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 24;
      });
      for (const section of [text, Buffer.from(noise)]) {
        const frame = compress(memory, section);
        expect(decompressFrameSync(frame).equals(section)).toBe(true);
        const largest = 64 * KIB * 4 ** (((frame[5] as number) >>> 4) - 4);
        expect(largest).toBe(
          [64, 256, 1024, 4096].map((kib) => kib * KIB).find((size) => size >= length) ?? 4096 * KIB,
        );
      }
      expect(compress(memory, Buffer.from(noise)).length).toBeLessThan(length + 40);
    },
  );

  test('is the same whatever was compressed before', () => {
    const used = new SectionMemory();
    const section = Buffer.from('{"id":1,"event":"click"}'.repeat(3_000));
    compress(used, Buffer.from('{"id":2,"event":"view"}'.repeat(9_000)));
    expect(compress(used, section).equals(compress(new SectionMemory(), section))).toBe(true);
  });

  test('is not made of bytes that lie elsewhere', () => {
    const memory = new SectionMemory();
    memory.reserve(10);
    expect(() => memory.compressLz4(Buffer.alloc(10))).toThrow(TypeError);
  });
});
