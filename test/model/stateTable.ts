/** A set of states, each a few 32-bit numbers, in the order in which they were found; millions fit in a few GiB. */
export class StateTable {
  readonly #width: number;
  #count = 0;
  /** `#width` numbers a state; they double when full. */
  #words: Int32Array;
  #parents: Int32Array;
  /** Open addressing: number of a state plus one, 0 is free. */
  #slots: Int32Array;

  constructor(width: number) {
    this.#width = width;
    this.#words = new Int32Array(width * 1024);
    this.#parents = new Int32Array(1024);
    this.#slots = new Int32Array(4096);
  }

  get count(): number {
    return this.#count;
  }

  /** Takes a state in that is not known yet. `parent`: the state it was found from; -1: none. */
  add(state: Int32Array, parent: number): void {
    let slot = this.#hash(state, 0);
    for (;;) {
      const found = this.#slots[slot] ?? 0;
      if (found === 0) break;
      if (this.#equals(state, found - 1)) return;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    if (this.#count === this.#parents.length) this.#grow();
    this.#words.set(state, this.#count * this.#width);
    this.#parents[this.#count] = parent;
    this.#count += 1;
    this.#slots[slot] = this.#count;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
  }

  /** Writes a state to `into`. */
  read(number: number, into: Int32Array): void {
    const from = number * this.#width;
    for (let i = 0; i < this.#width; i++) into[i] = this.#words[from + i] ?? 0;
  }

  parentOf(number: number): number {
    return this.#parents[number] ?? -1;
  }

  #equals(state: Int32Array, number: number): boolean {
    const from = number * this.#width;
    for (let i = 0; i < this.#width; i++) if (state[i] !== this.#words[from + i]) return false;
    return true;
  }

  #hash(words: Int32Array, from: number): number {
    let hash = 0x811c9dc5;
    for (let i = from; i < from + this.#width; i++) {
      hash = Math.imul(hash ^ (words[i] ?? 0), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (this.#slots.length - 1);
  }

  #grow(): void {
    this.#words = doubled(this.#words);
    this.#parents = doubled(this.#parents);
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let number = 0; number < this.#count; number++) {
      let slot = this.#hash(this.#words, number * this.#width);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = number + 1;
    }
  }
}

function doubled(words: Int32Array): Int32Array {
  const larger = new Int32Array(words.length * 2);
  larger.set(words);
  return larger;
}
