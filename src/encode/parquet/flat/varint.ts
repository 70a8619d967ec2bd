/** Unsigned LEB128; `value` is a safe integer, 0 or above. Returns the position behind it. */
export function putVarint(page: Uint8Array, position: number, value: number): number {
  let end = position;
  let rest = value;
  while (rest >= 0x80) {
    page[end++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  page[end++] = rest;
  return end;
}

/** Zigzag, then LEB128; twice the value is a safe integer. */
export function putZigzag(page: Uint8Array, position: number, value: number): number {
  return putVarint(page, position, value >= 0 ? value * 2 : -value * 2 - 1);
}
