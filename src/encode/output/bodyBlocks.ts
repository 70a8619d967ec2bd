/**
 * Encoded bytes until they are staged, in blocks that are used again for the next ones.
 *
 * One buffer would have to be copied each time it grows, and a new one each time costs a page fault every 4 KiB.
 */
const BLOCK_BYTES = 4 * 1024 * 1024;

export class BodyBlocks {
  readonly #blockBytes: number;
  readonly #blocks: Buffer[] = [];
  #length = 0;

  constructor(blockBytes = BLOCK_BYTES) {
    this.#blockBytes = blockBytes;
  }

  /** Bytes appended since the last `clear`. */
  get length(): number {
    return this.#length;
  }

  /** Copies bytes to the end. */
  append(bytes: Uint8Array): void {
    const blockBytes = this.#blockBytes;
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor(this.#length / blockBytes);
      const start = this.#length % blockBytes;
      const part = bytes.subarray(done, done + blockBytes - start);
      let block = this.#blocks[index];
      if (!block) {
        block = Buffer.allocUnsafeSlow(blockBytes);
        this.#blocks[index] = block;
      }
      block.set(part, start);
      done += part.length;
      this.#length += part.length;
    }
  }

  /** All bytes, in order: views, which the next `clear` and `append` overwrite. */
  pieces(): Uint8Array[] {
    const blockBytes = this.#blockBytes;
    const count = Math.ceil(this.#length / blockBytes);
    return this.#blocks.slice(0, count).map((block, index) => block.subarray(0, this.#length - index * blockBytes));
  }

  /** Forgets the bytes and keeps the blocks. */
  clear(): void {
    this.#length = 0;
  }

  free(): void {
    this.#length = 0;
    this.#blocks.length = 0;
  }
}
