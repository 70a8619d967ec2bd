import type { StagedFormat, StreamCompression } from '../config/writerOptions.ts';

const COMPRESSED: Readonly<Record<StreamCompression, string>> = { none: '', gzip: '.gz', zstd: '.zst' };

/** How names of files end, as Spark has them: `.json.gz`. Apart from the formats, so that planning loads none of them. */
export function extensionOf(output: StagedFormat): string {
  switch (output.format) {
    case 'parquet':
    case 'avro':
    case 'pgcopy':
      return `.${output.format}`;
    case 'text':
      return `.txt${COMPRESSED[output.compression]}`;
    default:
      return `.${output.format}${COMPRESSED[output.compression]}`;
  }
}
