import { describe, expect, it } from 'vitest';
import { formatSize, parseSize } from '../../../src/config/sizes.ts';

describe('parseSize', () => {
  it.each([
    ['1048576', 1_048_576],
    ['64MiB', 67_108_864],
    ['64 mib', 67_108_864],
    ['64M', 67_108_864],
    ['64MB', 64_000_000],
    ['1.5GiB', 1_610_612_736],
    ['2k', 2_048],
    ['3TB', 3_000_000_000_000],
    ['10b', 10],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', '0', '-1', 'MiB', '64 MiB more', '1e6', '64XB', '9999999TiB', '0x10', 'constructor'])(
    'takes "%s" for no size',
    (text) => {
      expect(parseSize(text)).toBeNull();
    },
  );
});

describe('formatSize', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [335_544_320, '320 MiB'],
    [1024 ** 5, '1024 TiB'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});
