/** Digests of 12 bytes and a small number for each, in 16 bytes a place: millions of them where objects would take a gigabyte. */
const WORDS = 4;
const FIRST_PLACES = 1024;
/** Beyond this a search would meet too many others. */
const MOST_FULL = 0.7;

export const DIGEST_BYTES = 12;

export class DigestMap {
  #places = FIRST_PLACES;
  /** Three words of the digest, and the number plus one; 0: free. */
  #words = new Int32Array(FIRST_PLACES * WORDS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param digest Of random bytes, as of a cryptographic hash. */
  get(digest: Buffer): number | null {
    const value = this.#words[this.#find(digest) + 3] as number;
    return value === 0 ? null : value - 1;
  }

  /** @param value From 0. One that is there already is replaced. */
  set(digest: Buffer, value: number): void {
    if (this.#size >= this.#places * MOST_FULL) this.#grow();
    const at = this.#find(digest);
    if (this.#words[at + 3] === 0) {
      this.#size += 1;
      for (let word = 0; word < 3; word++) this.#words[at + word] = digest.readInt32LE(4 * word);
    }
    this.#words[at + 3] = value + 1;
  }

  /** Where the digest is, or is to be. */
  #find(digest: Buffer): number {
    const [first, second, third] = [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8)];
    const words = this.#words;
    for (let place = (first >>> 0) % this.#places; ; place = (place + 1) % this.#places) {
      const at = place * WORDS;
      if (words[at + 3] === 0) return at;
      if (words[at] === first && words[at + 1] === second && words[at + 2] === third) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#places *= 2;
    this.#words = new Int32Array(this.#places * WORDS);
    const bytes = Buffer.from(old.buffer);
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at + 3] === 0) continue;
      const place = this.#find(bytes.subarray(4 * at, 4 * at + DIGEST_BYTES));
      this.#words.set(old.subarray(at, at + WORDS), place);
    }
  }
}
