/** One block of LZ4 (LZ4 Block Format). */
import { copyApart, copyMatch } from './copies';

/**
 * @param outputStart How far back a match may reach: where the frame begins if its blocks build on one another.
 * @returns Where the output ends; 0 if the block is malformed or has more than fits before `outputLimit`.
 */
export function inflateLz4Block(
  block: usize,
  blockEnd: usize,
  output: usize,
  outputLimit: usize,
  outputStart: usize,
): usize {
  let from = block;
  let to = output;
  while (from < blockEnd) {
    const token = <usize>load<u8>(from++);
    let literals = token >> 4;
    if (literals === 15) {
      let byte: usize;
      do {
        if (from >= blockEnd) return 0;
        byte = <usize>load<u8>(from++);
        literals += byte;
      } while (byte === 255);
    }
    if (literals > blockEnd - from || literals > outputLimit - to) return 0;
    copyApart(to, from, literals);
    from += literals;
    to += literals;
    // The last sequence has no match.
    if (from === blockEnd) return to;
    if (blockEnd - from < 2) return 0;
    const distance = <usize>load<u16>(from);
    from += 2;
    if (distance === 0 || distance > to - outputStart) return 0;
    let length = token & 15;
    if (length === 15) {
      let byte: usize;
      do {
        if (from >= blockEnd) return 0;
        byte = <usize>load<u8>(from++);
        length += byte;
      } while (byte === 255);
    }
    length += 4;
    if (length > outputLimit - to) return 0;
    copyMatch(to, distance, length);
    to += length;
  }
  return 0;
}
