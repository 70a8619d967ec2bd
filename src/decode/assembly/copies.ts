/**
 * Copies by 16 bytes, which may touch 15 bytes behind what they copy, on both sides: the host keeps that much free behind the
 * compressed bytes and behind the output.
 */

/** Longer copies are left to the engine. */
const MAX_LOOPED_BYTES: usize = 512;

/** Of bytes that lie apart. */
export function copyApart(to: usize, from: usize, bytes: usize): void {
  if (bytes > MAX_LOOPED_BYTES) {
    memory.copy(to, from, bytes);
    return;
  }
  const end = to + bytes;
  let target = to;
  let source = from;
  do {
    v128.store(target, v128.load(source));
    target += 16;
    source += 16;
  } while (target < end);
}

/** What is copied may overlap what it is copied from: then it repeats. */
export function copyMatch(to: usize, distance: usize, bytes: usize): void {
  const end = to + bytes;
  let target = to;
  let source = to - distance;
  if (distance >= 16) {
    do {
      v128.store(target, v128.load(source));
      target += 16;
      source += 16;
    } while (target < end);
  } else if (distance >= 8) {
    do {
      store<u64>(target, load<u64>(source));
      target += 8;
      source += 8;
    } while (target < end);
  } else {
    do {
      store<u8>(target++, load<u8>(source++));
    } while (target < end);
  }
}
