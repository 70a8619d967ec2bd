/** Puts pages, compressed and with their headers, behind one another, and keeps count for the column chunk. */
import { crc32 } from '@node-rs/crc32';
import { countNativeBytes } from '../../../nativeBuffers.ts';
import type { BodyBlocks } from '../../output/bodyBlocks.ts';
import {
  DATA_PAGE_HEADER,
  DICTIONARY_PAGE_HEADER,
  ENCODING,
  MAGIC,
  PAGE_ENCODING_STATS,
  PAGE_HEADER,
  PAGE_TYPE,
} from '../format.ts';
import type { PageSummary, PlacedPage } from '../pageIndex.ts';
import { encodeStruct, integer, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import type { PageCodec } from './codecs.ts';
import { PageKernel } from './kernel.ts';

/** The pages of one column chunk, as its ColumnMetaData tells of them. Sizes include page headers. */
export interface ChunkPages {
  readonly uncompressedBytes: number;
  readonly compressedBytes: number;
  /** Positions in a file that has the magic before the body. */
  readonly dataPageOffset: number;
  readonly dictionaryPageOffset: number | undefined;
  readonly encodingStats: readonly ThriftStruct[];
  readonly encodings: readonly number[];
  /** The data pages, in order. */
  readonly pages: readonly PlacedPage[];
}

export class PageWriter {
  readonly kernel = new PageKernel();
  readonly #codec: PageCodec;
  readonly #body: BodyBlocks;
  #start = 0;
  #uncompressedBytes = 0;
  #dataPageOffset: number | undefined;
  #dictionaryPageOffset: number | undefined;
  #pages: PlacedPage[] = [];
  /** Number of pages by type and encoding. */
  #counts = new Map<string, { readonly type: number; readonly encoding: number; readonly pages: number }>();

  constructor(codec: PageCodec, body: BodyBlocks) {
    this.#codec = codec;
    this.#body = body;
  }

  get codec(): number {
    return this.#codec.code;
  }

  startChunk(): void {
    this.#start = this.#body.length;
    this.#uncompressedBytes = 0;
    this.#dataPageOffset = undefined;
    this.#dictionaryPageOffset = undefined;
    this.#counts = new Map();
    this.#pages = [];
  }

  /** The buffer to make the next page in; what it held before is lost. */
  scratch(bytes: number): Buffer {
    return this.kernel.page(bytes);
  }

  async writeDataPage(page: Buffer, encoding: number, summary: PageSummary): Promise<void> {
    const position = this.#body.length + MAGIC.length;
    this.#dataPageOffset ??= position;
    const header = struct({
      [DATA_PAGE_HEADER.NUM_VALUES]: integer(WIRE.I32, summary.rows),
      [DATA_PAGE_HEADER.ENCODING]: integer(WIRE.I32, encoding),
      [DATA_PAGE_HEADER.DEFINITION_LEVELS]: integer(WIRE.I32, ENCODING.RLE),
      [DATA_PAGE_HEADER.REPETITION_LEVELS]: integer(WIRE.I32, ENCODING.RLE),
    });
    await this.#write(page, PAGE_TYPE.DATA, encoding, { [PAGE_HEADER.DATA_PAGE_HEADER]: header });
    this.#pages.push({ ...summary, position, bytes: this.#body.length + MAGIC.length - position });
  }

  /** Comes before the data pages of its chunk. */
  async writeDictionaryPage(values: Uint8Array, entries: number): Promise<void> {
    const page = this.scratch(values.length);
    page.set(values);
    this.#dictionaryPageOffset = this.#body.length + MAGIC.length;
    const header = struct({
      [DICTIONARY_PAGE_HEADER.NUM_VALUES]: integer(WIRE.I32, entries),
      [DICTIONARY_PAGE_HEADER.ENCODING]: integer(WIRE.I32, ENCODING.PLAIN),
    });
    await this.#write(page, PAGE_TYPE.DICTIONARY, ENCODING.PLAIN, { [PAGE_HEADER.DICTIONARY_PAGE_HEADER]: header });
  }

  finishChunk(): ChunkPages {
    const counts = [...this.#counts.values()];
    return {
      uncompressedBytes: this.#uncompressedBytes,
      compressedBytes: this.#body.length - this.#start,
      dataPageOffset: this.#dataPageOffset ?? 0,
      dictionaryPageOffset: this.#dictionaryPageOffset,
      pages: this.#pages,
      // RLE is how definition levels are written, whatever the values are.
      encodings: [...new Set([ENCODING.RLE, ...counts.map(({ encoding }) => encoding)])],
      encodingStats: counts.map(({ type, encoding, pages }) =>
        struct({
          [PAGE_ENCODING_STATS.PAGE_TYPE]: integer(WIRE.I32, type),
          [PAGE_ENCODING_STATS.ENCODING]: integer(WIRE.I32, encoding),
          [PAGE_ENCODING_STATS.COUNT]: integer(WIRE.I32, pages),
        }),
      ),
    };
  }

  async #write(page: Buffer, type: number, encoding: number, header: Record<number, ThriftStruct>): Promise<void> {
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
    this.#body.append(bytes);
    this.#body.append(compressed);
    this.#uncompressedBytes += bytes.length + page.length;
    const key = `${type}/${encoding}`;
    this.#counts.set(key, { type, encoding, pages: (this.#counts.get(key)?.pages ?? 0) + 1 });
    // What the kernel compressed, or nobody, is no native buffer.
    if (compressed.buffer !== page.buffer) await countNativeBytes(page.length);
  }
}
