/** What an encoder holds, for whoever shares out memory. Apart from the encoder, so that planning loads no WASM. */

/**
 * Held by an encoder whatever the size of a row group: the page being made, and compressed pages, already copied to the
 * body, that wait for the garbage collector. Above the body 39 MiB were measured with snappy, 50 MiB with zstd, and 60 MiB
 * (1-byte values: 95 MiB) with lz4_raw, all for bytes that do not compress; JSON under snappy takes 33 MiB (November 2026).
 * A column for parquet-wasm takes at most 18.2 MiB of WASM memory; a message above 2 MiB in one adds up to 9 times its size.
 */
export const ENCODER_FIXED_BYTES = 40 * 1024 ** 2;

/**
 * Held beside the batch for each of its raw bytes: the body, whose blocks are used again for the next row group. This is
 * for data that does not compress; JSON under snappy takes 0.4.
 */
export const ENCODER_BYTES_PER_RAW_BYTE = 1.1;
