/** The options of writing as they were given: looked up by name, whatever its case, and taken for what they should be. */
import { OffloadError } from '../errors.ts';
import { compileDatePattern } from './datePattern.ts';
import type { FileFormat } from './formats.ts';
import { didYouMean } from './nearest.ts';
import { parseSize, SIZE_EXAMPLES } from './sizes.ts';
import type { DatePatterns, StreamCompression } from './writerOptions.ts';
import { WRITER_OPTIONS } from './writerOptionTable.ts';

const STREAM_COMPRESSIONS: readonly StreamCompression[] = ['none', 'gzip', 'zstd'];
const MAX_ROWS = 2 ** 31 - 1;

/** Other spellings Spark has, in lower case. */
const SYNONYMS: Readonly<Record<string, string>> = { delimiter: 'sep', charset: 'encoding', codec: 'compression' };

/** Options as they were given, by the name this format knows them under. */
export class GivenOptions {
  readonly #format: FileFormat;
  readonly #values = new Map<string, string>();
  readonly #where: string;

  constructor(format: FileFormat, options: Readonly<Record<string, string>>, where: string) {
    this.#format = format;
    this.#where = where;
    const known = WRITER_OPTIONS[format].map(({ name }) => name);
    for (const [name, value] of Object.entries(options)) {
      const word = SYNONYMS[name.toLowerCase()] ?? name;
      const own = known.find((each) => each.toLowerCase() === word.toLowerCase());
      if (own === undefined) {
        throw usage(
          `unknown option ${name} in ${where}; known for ${format}: ${known.join(', ')}${didYouMean(name, known)}`,
        );
      }
      if (this.#values.has(own)) throw usage(`${own} stands twice in ${where}`);
      this.#values.set(own, value);
    }
  }

  text(name: string, otherwise: string): string {
    return this.#values.get(name) ?? otherwise;
  }

  flag(name: string, otherwise: boolean): boolean {
    const text = this.text(name, String(otherwise)).toLowerCase();
    if (text !== 'true' && text !== 'false') throw this.bad(name, 'is neither', 'true or false');
    return text === 'true';
  }

  /** One of some words, in any case, or another spelling of one. */
  word<Word extends string>(
    name: string,
    words: readonly Word[],
    otherwise: Word,
    spellings: Readonly<Record<string, Word>> = {},
  ): Word {
    const text = this.#values.get(name)?.toLowerCase();
    if (text === undefined) return otherwise;
    const word = words.find((each) => each === text) ?? (Object.hasOwn(spellings, text) ? spellings[text] : undefined);
    if (word === undefined) throw this.bad(name, `is unknown for ${this.#format}`, `one of ${words.join(', ')}`);
    return word;
  }

  streamCompression(): StreamCompression {
    return this.word('compression', STREAM_COMPRESSIONS, 'none', { uncompressed: 'none', zstandard: 'zstd' });
  }

  lineSep(): string {
    const text = this.text('lineSep', '\n').replaceAll('\\r', '\r').replaceAll('\\n', '\n');
    if (text === '') throw this.bad('lineSep', 'is empty', 'what ends a line');
    return text;
  }

  datePatterns(): DatePatterns {
    const pattern = (name: keyof DatePatterns): string | null => {
      const text = this.#values.get(name);
      if (text === undefined) return null;
      const compiled = compileDatePattern(text, name === 'dateFormat' ? 'date' : 'timestamp');
      if ('problem' in compiled) throw this.bad(name, compiled.problem, compiled.instead);
      return text;
    };
    return { dateFormat: pattern('dateFormat'), timestampFormat: pattern('timestampFormat') };
  }

  checkEncoding(): void {
    if (!/^utf-?8$/i.test(this.text('encoding', 'UTF-8'))) throw this.bad('encoding', 'cannot be written', 'UTF-8');
  }

  avroName(name: string, otherwise: string): string {
    const text = this.text(name, otherwise);
    const isName = name === 'recordName' ? /^[A-Za-z_]\w*$/ : /^$|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/;
    if (!isName.test(text)) throw this.bad(name, 'is no Avro name', 'letters, digits and "_", no digit first');
    return text;
  }

  rows(name: string, otherwise: number): number {
    const text = this.#values.get(name);
    if (text === undefined) return otherwise;
    if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_ROWS) return Number(text);
    throw this.bad(name, 'is no number of rows', `1 to ${MAX_ROWS}`);
  }

  bytes(name: string, otherwise: number): number {
    const text = this.#values.get(name);
    if (text === undefined) return otherwise;
    const bytes = parseSize(text);
    if (bytes !== null) return bytes;
    throw this.bad(name, 'is no size', SIZE_EXAMPLES);
  }

  bad(name: string, problem: string, instead: string): OffloadError {
    return usage(`${name}=${this.text(name, '')} in ${this.#where} ${problem}; write ${instead}`);
  }
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
