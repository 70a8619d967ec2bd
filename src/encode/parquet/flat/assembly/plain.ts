/**
 * PLAIN byte arrays, each value behind its length, and which of them are the smallest and the largest: both need every value
 * in the cache. Copies go by 16 bytes; the host keeps so much free behind the values and behind the page.
 */

/** Bytes of a value that bounds look at, as in bounds.ts. */
const PREFIX_BYTES: usize = 64;
/** Only values that begin with this or more need to be compared whole, as in bounds.ts. */
const HIGHEST_BYTES: u32 = 0xf4;

/** Rows of the smallest and of the largest value, -1 without a value. */
const SMALLEST: usize = 0;
const LARGEST: usize = 4;

/**
 * @param offsets Where each row begins and the last one ends: one more than rows, relative to what the first begins with.
 * @param validity Bitmap, whose first row is bit `firstBit`; 0: no row is null.
 * @returns Where the page ends.
 */
export function putPlain(values: usize, offsets: usize, validity: usize, firstBit: u32, rows: i32, page: usize): usize {
  const base = values - <usize>load<u32>(offsets);
  let to = page;
  let start = values;
  let smallest: i32 = -1;
  let largest: i32 = -1;
  let minStart: usize = 0;
  let minLength: usize = 0;
  let maxStart: usize = 0;
  let maxLength: usize = 0;
  for (let row: i32 = 0; row < rows; row++) {
    const end = base + <usize>load<u32>(offsets + ((<usize>row + 1) << 2));
    const length = end - start;
    if (validity !== 0) {
      const bit = firstBit + <u32>row;
      if (((<u32>load<u8>(validity + (bit >>> 3)) >>> (bit & 7)) & 1) === 0) {
        start = end;
        continue;
      }
    }
    store<u32>(to, <u32>length);
    to += 4;
    copy(to, start, length);
    to += length;
    if (smallest < 0) {
      smallest = row;
      largest = row;
      minStart = start;
      maxStart = start;
      minLength = length;
      maxLength = length;
    } else {
      const low = comparePrefix(start, length, minStart, minLength);
      if (low < 0 || (low === 0 && length <= PREFIX_BYTES && minLength > PREFIX_BYTES)) {
        smallest = row;
        minStart = start;
        minLength = length;
      } else {
        const high = comparePrefix(start, length, maxStart, maxLength);
        if (high > 0 || (high === 0 && length > PREFIX_BYTES && isAbove(start, length, maxStart, maxLength))) {
          largest = row;
          maxStart = start;
          maxLength = length;
        }
      }
    }
    start = end;
  }
  store<i32>(SMALLEST, smallest);
  store<i32>(LARGEST, largest);
  return to;
}

function copy(to: usize, from: usize, bytes: usize): void {
  if (bytes > 512) {
    memory.copy(to, from, bytes);
    return;
  }
  const end = to + bytes;
  let target = to;
  let source = from;
  while (target < end) {
    v128.store(target, v128.load(source));
    target += 16;
    source += 16;
  }
}

/** Order of two values by their first 64 bytes; what ends is below what goes on. */
function comparePrefix(start: usize, length: usize, otherStart: usize, otherLength: usize): i32 {
  const prefix = min(length, PREFIX_BYTES);
  const otherPrefix = min(otherLength, PREFIX_BYTES);
  const shorter = min(prefix, otherPrefix);
  let at: usize = 0;
  while (at + 8 <= shorter) {
    const word = load<u64>(start + at);
    const other = load<u64>(otherStart + at);
    if (word !== other) return bswap(word) < bswap(other) ? -1 : 1;
    at += 8;
  }
  while (at < shorter) {
    const order = <i32>load<u8>(start + at) - <i32>load<u8>(otherStart + at);
    if (order !== 0) return order;
    at++;
  }
  return <i32>prefix - <i32>otherPrefix;
}

/** Of two values whose first 64 bytes are equal, the first longer than that: whether it is the larger where that counts. */
function isAbove(start: usize, length: usize, maxStart: usize, maxLength: usize): bool {
  if (maxLength <= PREFIX_BYTES) return true;
  if (<u32>load<u8>(maxStart) < HIGHEST_BYTES) return false;
  const shorter = min(length, maxLength);
  for (let at = PREFIX_BYTES; at < shorter; at++) {
    const order = <i32>load<u8>(start + at) - <i32>load<u8>(maxStart + at);
    if (order !== 0) return order > 0;
  }
  return length > maxLength;
}
