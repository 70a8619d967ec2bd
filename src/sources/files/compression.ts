import type { FileCompression } from '../../config/readerOptions.ts';

/** How a file is compressed: as the option says, else by the end of its name. */
export function compressionOf(option: FileCompression, file: string): 'none' | 'gzip' | 'zstd' {
  if (option !== 'auto') return option;
  if (/\.gz(?:ip)?$/i.test(file)) return 'gzip';
  return /\.zstd?$/i.test(file) ? 'zstd' : 'none';
}
