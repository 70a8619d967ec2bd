/** One block of Snappy (format_description.txt of google/snappy), behind the length it begins with. */
import { copyApart, copyMatch } from './copies';

/**
 * @returns Where the output ends; 0 if the block is malformed or has more than fits before `outputEnd`.
 */
export function inflateSnappyBlock(block: usize, blockEnd: usize, output: usize, outputEnd: usize): usize {
  let from = block;
  let to = output;
  while (from < blockEnd) {
    const tag = <usize>load<u8>(from++);
    const kind = tag & 3;
    if (kind === 0) {
      let literals = tag >> 2;
      if (literals >= 60) {
        const bytes = literals - 59;
        if (bytes > blockEnd - from) return 0;
        literals = <usize>littleEndian(from, bytes);
        from += bytes;
      }
      // A length of 2^32 would be 0 after one is added.
      if (literals >= blockEnd - from || literals >= outputEnd - to) return 0;
      literals++;
      copyApart(to, from, literals);
      from += literals;
      to += literals;
      continue;
    }
    const bytes: usize = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    if (bytes > blockEnd - from) return 0;
    const length: usize = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const distance = <usize>littleEndian(from, bytes) + (kind === 1 ? (tag >> 5) << 8 : 0);
    from += bytes;
    if (distance === 0 || distance > to - output || length > outputEnd - to) return 0;
    copyMatch(to, distance, length);
    to += length;
  }
  return to;
}

/** A number of one to four bytes; up to three behind it are read as well. */
function littleEndian(at: usize, bytes: usize): u32 {
  return load<u32>(at) & (0xffffffff >>> ((4 - <u32>bytes) * 8));
}
