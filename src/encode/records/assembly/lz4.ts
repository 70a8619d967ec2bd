/**
 * One block of LZ4 (LZ4 Block Format): the hash of five bytes leads to where they were seen last. The longer nothing is
 * found, the larger the steps, so that what does not compress costs little.
 *
 * The table holds the lower 16 bits of each place. A candidate is then never further away than a match may reach, and one
 * that was overwritten in 64 KiB and more is found out as every false one is: its bytes are others.
 *
 * Five bytes and not six: JSON is as small, CSV of short numbers 15% smaller. A table of 2^15 places makes JSON 1% smaller,
 * and leaves the first-level cache (November 2026).
 *
 * The host keeps 32 bytes free behind the input, and room for the largest output: 32 + bytes + bytes / 255.
 */

const TABLE_BITS: u32 = 14;
const TABLE_BYTES: usize = (<usize>2) << TABLE_BITS;
/** 2^64 by the golden ratio: its multiples are spread evenly. */
const SPREAD: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;
/** Steps grow by one with so many misses. */
const FIRST_MISSES: u32 = 16;
/** No match may begin in the last 12 bytes of a block, */
const MARGIN_BYTES: usize = 12;
/** and none may reach into its last five. */
const LAST_LITERALS: usize = 5;
const MIN_MATCH: usize = 4;

/**
 * @param table 32 KiB to work with.
 * @returns Where the output ends.
 */
export function compressLz4Block(input: usize, bytes: usize, output: usize, table: usize): usize {
  const end = input + bytes;
  let to = output;
  let pending = input;
  if (bytes > MARGIN_BYTES) {
    memory.fill(table, 0, TABLE_BYTES);
    const limit = end - MARGIN_BYTES;
    const matchEnd = end - LAST_LITERALS;
    let at = input + 1;
    let misses = FIRST_MISSES;
    while (at <= limit) {
      const slot = slotOf(table, load<u64>(at));
      const place = <u32>(at - input);
      const distance = (place - <u32>load<u16>(slot)) & 0xffff;
      store<u16>(slot, <u16>place);
      if (distance === 0 || distance > place || load<u32>(at) !== load<u32>(at - <usize>distance)) {
        at += <usize>(misses++ / FIRST_MISSES);
        continue;
      }
      misses = FIRST_MISSES;
      let candidate = at - <usize>distance;
      while (at > pending && candidate > input && load<u8>(at - 1) === load<u8>(candidate - 1)) {
        at--;
        candidate--;
      }
      const length = matchLength(candidate, at, matchEnd);
      to = putSequence(to, pending, at - pending, distance, length);
      at += length;
      pending = at;
      if (at > limit) break;
      store<u16>(slotOf(table, load<u64>(at - 2)), <u16>(at - 2 - input));
    }
  }
  return putLast(to, pending, end - pending);
}

/** Slot of the five bytes that a word begins with. */
function slotOf(table: usize, word: u64): usize {
  return table + ((<usize>(((word << 24) * SPREAD) >> <u64>(64 - TABLE_BITS))) << 1);
}

/** How many bytes are equal, four of which are known to be. */
function matchLength(candidate: usize, at: usize, end: usize): usize {
  let next = at + MIN_MATCH;
  let other = candidate + MIN_MATCH;
  while (next + 8 <= end) {
    const difference = load<u64>(next) ^ load<u64>(other);
    if (difference !== 0) return next - at + <usize>(ctz(difference) >>> 3);
    next += 8;
    other += 8;
  }
  while (next < end && load<u8>(next) === load<u8>(other)) {
    next++;
    other++;
  }
  return next - at;
}

function putSequence(output: usize, from: usize, literals: usize, distance: u32, length: usize): usize {
  let to = output + 1;
  const more = length - MIN_MATCH;
  store<u8>(output, (min<usize>(literals, 15) << 4) | min<usize>(more, 15));
  if (literals >= 15) to = putRest(to, literals - 15);
  to = putLiterals(to, from, literals);
  store<u16>(to, <u16>distance);
  to += 2;
  return more >= 15 ? putRest(to, more - 15) : to;
}

function putLast(output: usize, from: usize, literals: usize): usize {
  store<u8>(output, min<usize>(literals, 15) << 4);
  const to = literals >= 15 ? putRest(output + 1, literals - 15) : output + 1;
  return putLiterals(to, from, literals);
}

/** What four bits of a length do not hold. */
function putRest(output: usize, rest: usize): usize {
  let to = output;
  let left = rest;
  while (left >= 255) {
    store<u8>(to++, 255);
    left -= 255;
  }
  store<u8>(to++, left);
  return to;
}

function putLiterals(to: usize, from: usize, bytes: usize): usize {
  if (bytes > 64) {
    memory.copy(to, from, bytes);
    return to + bytes;
  }
  for (let done: usize = 0; done < bytes; done += 16) v128.store(to + done, v128.load(from + done));
  return to + bytes;
}
