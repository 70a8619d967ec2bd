/** Bounds of the rows of a page that stand in a dictionary: those of the entries it uses. */
import { type Bounds, ByteBounds } from './bounds.ts';

/** The values of a dictionary, where they lie in its bytes. */
export interface DictionaryValues {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly entries: number;
}

export class UsedEntries {
  readonly #values: DictionaryValues;
  readonly #isText: boolean;
  readonly #isUsed: Uint8Array;
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;

  constructor(values: DictionaryValues, isText: boolean) {
    this.#values = values;
    this.#isText = isText;
    this.#isUsed = new Uint8Array(values.entries);
    this.#starts = new Int32Array(values.entries);
    this.#lengths = new Int32Array(values.entries);
  }

  /** Bounds of the values that the indexes `[from, to)` stand for. */
  boundsOf(indexes: Int32Array, from: number, to: number): Bounds {
    const { bytes, starts, lengths, entries } = this.#values;
    const isUsed = this.#isUsed.fill(0);
    for (let row = from; row < to; row++) isUsed[indexes[row] as number] = 1;
    let count = 0;
    for (let entry = 0; entry < entries; entry++) {
      if (isUsed[entry] === 0) continue;
      this.#starts[count] = starts[entry] as number;
      this.#lengths[count++] = lengths[entry] as number;
    }
    const bounds = new ByteBounds(this.#isText);
    bounds.add(bytes, this.#starts, this.#lengths, count);
    return bounds.bounds();
  }
}
