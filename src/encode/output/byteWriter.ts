/** A buffer that grows: what rows are written into before they are compressed and kept. */

const START_BYTES = 1024 * 1024;
/** What a long row made it grow to beyond this is given back. */
const MOST_KEPT_BYTES = 16 * 1024 * 1024;

export class ByteWriter {
  /** Read it again after `reserve`: it may have been replaced. */
  bytes: Buffer;
  /** Of the same bytes. */
  view: DataView;
  /** Where the next byte goes. */
  position = 0;

  /** @param bytes Room to begin with. */
  constructor(bytes = START_BYTES) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.view = viewOf(this.bytes);
  }

  /** Makes room for so many bytes at `position`. */
  reserve(bytes: number): void {
    if (this.position + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.position + bytes, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.position);
    this.#replace(larger);
  }

  putByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.position++] = byte;
  }

  /** Copies `source[start, end)`. */
  put(source: Uint8Array, start = 0, end: number = source.length): void {
    const length = end - start;
    this.reserve(length);
    const { bytes, position } = this;
    // A call costs as much as some 50 bytes copied here.
    if (length > 48) bytes.set(source.subarray(start, end), position);
    else for (let i = 0; i < length; i++) bytes[position + i] = source[start + i] as number;
    this.position = position + length;
  }

  /** Text without any character beyond ASCII. */
  putAscii(text: string): void {
    this.reserve(text.length);
    const { bytes } = this;
    let { position } = this;
    for (let i = 0; i < text.length; i++) bytes[position++] = text.charCodeAt(i);
    this.position = position;
  }

  /** What was written: a view that the next row overwrites. */
  written(): Buffer {
    return this.bytes.subarray(0, this.position);
  }

  clear(): void {
    this.position = 0;
    if (this.bytes.length > MOST_KEPT_BYTES) this.#replace(Buffer.allocUnsafeSlow(START_BYTES));
  }

  #replace(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
  }
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
