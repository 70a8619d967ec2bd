/** What an encoder holds, for whoever shares out memory. Apart from the encoder, so that planning loads no WASM. */

/**
 * Held by an encoder whatever the size of a row group: WASM memory and the copies of one piece of a column. At most
 * 18.2 MiB of WASM memory were measured over all codecs and shapes of data (random, repeating, 1-byte values, headers);
 * a message above 2 MiB, a piece of its own, adds up to 9 times its size.
 */
export const ENCODER_FIXED_BYTES = 24 * 1024 ** 2;

/**
 * Held beside the batch for each of its raw bytes while it is encoded: the pages in pieces, and the body they are put
 * together in. This is for data that does not compress; JSON under snappy takes 0.6.
 */
export const ENCODER_BYTES_PER_RAW_BYTE = 2;
