/** Puts the pages of a column chunk, compressed and with their headers, behind one another, and keeps count for it. */
import { crc32 } from '@node-rs/crc32';
import { countNativeBytes } from '../../../nativeBuffers.ts';
import type { BodyBlocks } from '../../output/bodyBlocks.ts';
import { encodeStruct } from '../compactThrift.ts';
import {
  DATA_PAGE_HEADER,
  DICTIONARY_PAGE_HEADER,
  ENCODING,
  PAGE_ENCODING_STATS,
  PAGE_HEADER,
  PAGE_TYPE,
} from '../format.ts';
import type { PageSummary, PlacedPage } from '../pageIndex.ts';
import { integer, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import type { PageCodec } from './codecs.ts';
import type { Dictionary } from './dictionary.ts';
import type { PageKernel } from './kernel.ts';

/** The pages of one column chunk, as its ColumnMetaData tells of them. Sizes include page headers. */
export interface ChunkPages {
  readonly uncompressedBytes: number;
  readonly compressedBytes: number;
  readonly dataPageOffset: number;
  readonly dictionaryPageOffset: number | undefined;
  readonly encodingStats: readonly ThriftStruct[];
  readonly encodings: readonly number[];
  /** The data pages, in order. */
  readonly pages: readonly PlacedPage[];
  /** The bytes of all, in order: views of the blocks that the pages were put into. */
  readonly body: readonly Uint8Array[];
}

export class PageWriter {
  readonly kernel: PageKernel;
  readonly #codec: PageCodec;
  /** The dictionary page comes first in the file and is known last. */
  readonly #dictionary: BodyBlocks;
  readonly #body: BodyBlocks;
  #uncompressedBytes = 0;
  readonly #pages: PlacedPage[] = [];
  /** Number of pages by type and encoding. */
  readonly #counts = new Map<string, { readonly type: number; readonly encoding: number; readonly pages: number }>();

  /** @param blocks Empty ones, for the dictionary page and for the others. */
  constructor(codec: PageCodec, kernel: PageKernel, [dictionary, body]: readonly [BodyBlocks, BodyBlocks]) {
    this.kernel = kernel;
    this.#codec = codec;
    this.#dictionary = dictionary;
    this.#body = body;
  }

  get codec(): number {
    return this.#codec.code;
  }

  /** The buffer to make the next page in; what it held before is lost. */
  scratch(bytes: number): Buffer {
    return this.kernel.page(bytes);
  }

  async writeDataPage(page: Buffer, encoding: number, summary: PageSummary): Promise<void> {
    const position = this.#body.length;
    const header = struct({
      [DATA_PAGE_HEADER.NUM_VALUES]: integer(WIRE.I32, summary.values),
      [DATA_PAGE_HEADER.ENCODING]: integer(WIRE.I32, encoding),
      [DATA_PAGE_HEADER.DEFINITION_LEVELS]: integer(WIRE.I32, ENCODING.RLE),
      [DATA_PAGE_HEADER.REPETITION_LEVELS]: integer(WIRE.I32, ENCODING.RLE),
    });
    await this.#write(page, PAGE_TYPE.DATA, encoding, { [PAGE_HEADER.DATA_PAGE_HEADER]: header }, this.#body);
    this.#pages.push({ ...summary, position, bytes: this.#body.length - position });
  }

  /**
   * Ends the column chunk.
   *
   * @param position Where it will lie.
   */
  async finish(position: number, dictionary: Dictionary | undefined): Promise<ChunkPages> {
    if (dictionary) await this.#writeDictionaryPage(dictionary);
    const counts = [...this.#counts.values()];
    const dataPageOffset = position + this.#dictionary.length;
    return {
      uncompressedBytes: this.#uncompressedBytes,
      compressedBytes: this.#dictionary.length + this.#body.length,
      dataPageOffset,
      dictionaryPageOffset: dictionary && position,
      pages: this.#pages.map((page) => ({ ...page, position: dataPageOffset + page.position })),
      // RLE is how definition levels are written, whatever the values are.
      encodings: [...new Set([ENCODING.RLE, ...counts.map(({ encoding }) => encoding)])],
      encodingStats: counts.map(({ type, encoding, pages }) =>
        struct({
          [PAGE_ENCODING_STATS.PAGE_TYPE]: integer(WIRE.I32, type),
          [PAGE_ENCODING_STATS.ENCODING]: integer(WIRE.I32, encoding),
          [PAGE_ENCODING_STATS.COUNT]: integer(WIRE.I32, pages),
        }),
      ),
      body: [...this.#dictionary.pieces(), ...this.#body.pieces()],
    };
  }

  async #writeDictionaryPage({ bytes, entries }: Dictionary): Promise<void> {
    const page = this.scratch(bytes.length);
    page.set(bytes);
    const header = struct({
      [DICTIONARY_PAGE_HEADER.NUM_VALUES]: integer(WIRE.I32, entries),
      [DICTIONARY_PAGE_HEADER.ENCODING]: integer(WIRE.I32, ENCODING.PLAIN),
    });
    const fields = { [PAGE_HEADER.DICTIONARY_PAGE_HEADER]: header };
    await this.#write(page, PAGE_TYPE.DICTIONARY, ENCODING.PLAIN, fields, this.#dictionary);
  }

  async #write(
    page: Buffer,
    type: number,
    encoding: number,
    header: Record<number, ThriftStruct>,
    into: BodyBlocks,
  ): Promise<void> {
    const result = this.#codec.compress(page, this.kernel);
    const compressed = result instanceof Promise ? await result : result;
    const bytes = encodeStruct(
      struct({
        [PAGE_HEADER.TYPE]: integer(WIRE.I32, type),
        [PAGE_HEADER.UNCOMPRESSED_SIZE]: integer(WIRE.I32, page.length),
        [PAGE_HEADER.COMPRESSED_SIZE]: integer(WIRE.I32, compressed.length),
        [PAGE_HEADER.CRC]: integer(WIRE.I32, crc32(compressed) | 0),
        ...header,
      }),
    );
    into.append(bytes);
    into.append(compressed);
    this.#uncompressedBytes += bytes.length + page.length;
    const key = `${type}/${encoding}`;
    this.#counts.set(key, { type, encoding, pages: (this.#counts.get(key)?.pages ?? 0) + 1 });
    // What the kernel compressed, or nobody, is no native buffer.
    if (compressed.buffer !== page.buffer) await countNativeBytes(page.length);
  }
}
