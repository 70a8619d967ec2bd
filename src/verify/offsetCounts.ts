/** How often each offset of a partition was met: one bit an offset, and one more for each time it comes again. */

const CHUNK_OFFSETS = 65_536;
const CHUNK_WORDS = CHUNK_OFFSETS / 32;

export class OffsetCounts {
  /** Of layer n: the offsets that were met more than n times, in chunks that are made when they are needed. */
  readonly #layers: Map<number, Int32Array>[] = [];
  /** Of the chunk that was used last in the first layer: offsets come in order. */
  #chunk: Int32Array | null = null;
  #chunkNumber = -1;

  add(offset: number): void {
    const number = Math.floor(offset / CHUNK_OFFSETS);
    if (number !== this.#chunkNumber || this.#chunk === null) {
      this.#chunk = this.#chunkOf(0, number);
      this.#chunkNumber = number;
    }
    const word = (offset % CHUNK_OFFSETS) >>> 5;
    const bit = 1 << (offset & 31);
    const bits = this.#chunk[word] ?? 0;
    if ((bits & bit) === 0) this.#chunk[word] = bits | bit;
    else this.#addAgain(number, word, bit);
  }

  has(offset: number): boolean {
    const chunk = this.#layers[0]?.get(Math.floor(offset / CHUNK_OFFSETS));
    return chunk !== undefined && ((chunk[(offset % CHUNK_OFFSETS) >>> 5] ?? 0) & (1 << (offset & 31))) !== 0;
  }

  /** Offsets of a range that were met more than `times` times. */
  countAbove(times: number, startOffset: number, endOffset: number): number {
    const layer = this.#layers[times];
    if (!layer) return 0;
    let count = 0;
    for (const [number, chunk] of layer) {
      const base = number * CHUNK_OFFSETS;
      const from = Math.max(0, startOffset - base);
      const to = Math.min(CHUNK_OFFSETS, endOffset - base);
      for (let offset = from; offset < to; ) {
        const word = chunk[offset >>> 5] ?? 0;
        if ((offset & 31) === 0 && offset + 32 <= to) {
          count += bitsOf(word);
          offset += 32;
        } else {
          count += (word >>> (offset & 31)) & 1;
          offset += 1;
        }
      }
    }
    return count;
  }

  /** How often offsets of a range were met, all together. */
  countAll(startOffset: number, endOffset: number): number {
    return this.#layers.reduce((sum, _, times) => sum + this.countAbove(times, startOffset, endOffset), 0);
  }

  /** The first offset of a range that was met more than `times` times; null: none. */
  firstAbove(times: number, startOffset: number, endOffset: number): number | null {
    let first: number | null = null;
    for (const [number, chunk] of this.#layers[times] ?? []) {
      const base = number * CHUNK_OFFSETS;
      const to = Math.min(CHUNK_OFFSETS, (first ?? endOffset) - base);
      for (let offset = Math.max(0, startOffset - base); offset < to; offset++) {
        if (((chunk[offset >>> 5] ?? 0) & (1 << (offset & 31))) === 0) continue;
        first = base + offset;
        break;
      }
    }
    return first;
  }

  #addAgain(number: number, word: number, bit: number): void {
    for (let layer = 1; ; layer++) {
      const chunk = this.#chunkOf(layer, number);
      const bits = chunk[word] ?? 0;
      if ((bits & bit) !== 0) continue;
      chunk[word] = bits | bit;
      return;
    }
  }

  #chunkOf(layer: number, number: number): Int32Array {
    const chunks = this.#layers[layer] ?? new Map<number, Int32Array>();
    this.#layers[layer] = chunks;
    const chunk = chunks.get(number) ?? new Int32Array(CHUNK_WORDS);
    chunks.set(number, chunk);
    return chunk;
  }
}

function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
