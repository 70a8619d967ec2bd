/**
 * What all formats but Parquet have in common: rows are written one behind the other into a block, which is sealed
 * (compressed, framed) when it is full, and kept until it is staged.
 */
import type { RecordBatch, Table } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import { countNativeBytes } from '../../nativeBuffers.ts';
import { batchesOf } from '../arrow/access.ts';
import type { BatchEncoder, EncodedRows } from '../encoder.ts';
import { BodyBlocks } from './bodyBlocks.ts';
import { ByteWriter } from './byteWriter.ts';

/** Makes what writes a row of a batch, by its number. @throws OffloadError TARGET_UNSUITABLE naming a column. */
export type BindRows = (batch: RecordBatch, out: ByteWriter) => (row: number) => void;

/** Makes the bytes for the file of a block, which is overwritten afterwards. */
export type SealBlock = (block: Buffer, rows: number) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** Encoded bytes after which the rest of a batch is left to the next call. */
const MAX_BODY_BYTES = 16 * 1024 ** 2;
const NOTHING = new Uint8Array(0);

export interface RowEncoderOptions {
  /** Named in messages and in the report. */
  readonly name: string;
  readonly bind: BindRows;
  readonly seal: SealBlock;
  /** As that of `BatchEncoder`. */
  readonly check?: (batch: RecordBatch) => void;
  /** Size of a block before it is sealed; the last row may exceed it. */
  readonly blockBytes: number;
}

export class RowEncoder implements BatchEncoder {
  readonly #options: RowEncoderOptions;
  readonly #body = new BodyBlocks();
  #out: ByteWriter | null = new ByteWriter();

  constructor(options: RowEncoderOptions) {
    this.#options = options;
  }

  async encode(batch: RecordBatch | Table): Promise<EncodedRows> {
    const { name, bind, blockBytes } = this.#options;
    const out = this.#out;
    if (out === null) throw new OffloadError('INTERNAL', `cannot encode ${name}: the encoder was freed`);
    this.#body.clear();
    out.clear();
    let rows = 0;
    let sealed = 0;
    for (const one of batchesOf(batch)) {
      const put = bind(one, out);
      for (let row = 0; row < one.numRows; row++) {
        put(row);
        rows++;
        if (out.position < blockBytes) continue;
        await this.#seal(out, rows - sealed);
        sealed = rows;
        if (this.#body.length >= MAX_BODY_BYTES) return this.#encoded(rows);
      }
    }
    if (rows > sealed) await this.#seal(out, rows - sealed);
    return this.#encoded(rows);
  }

  check(batch: RecordBatch): void {
    this.#options.check?.(batch);
  }

  usedEncoders(): string[] {
    return [this.#options.name];
  }

  free(): void {
    this.#body.free();
    this.#out = null;
  }

  async #seal(out: ByteWriter, rows: number): Promise<void> {
    const block = out.written();
    for (const piece of await this.#options.seal(block, rows)) this.#body.append(piece);
    await countNativeBytes(block.length);
    out.clear();
  }

  #encoded(rows: number): EncodedRows {
    return { body: this.#body.pieces(), bodyBytes: this.#body.length, footer: NOTHING, rows };
  }
}
