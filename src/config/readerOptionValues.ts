/** The options of reading as they were given: looked up by name, whatever its case, and taken for what they should be. */
import { OffloadError } from '../errors.ts';
import type { FileFormat } from './formats.ts';
import { checkJavaPattern } from './javaPatterns.ts';
import { didYouMean } from './nearest.ts';
import { READER_OPTIONS } from './readerOptionTable.ts';

const SYNONYMS: Readonly<Record<string, string>> = { delimiter: 'sep', charset: 'encoding' };
const ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  b: '\b',
  f: '\f',
  '0': '\0',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** @throws OffloadError USAGE, also from each look-up, naming the option and what would be right. */
export class OptionValues {
  readonly #format: FileFormat;
  readonly #given = new Map<string, string>();

  constructor(format: FileFormat, options: Readonly<Record<string, string>>) {
    this.#format = format;
    const known = READER_OPTIONS[format];
    for (const [name, value] of Object.entries(options)) {
      const lower = name.toLowerCase();
      const canonical = (SYNONYMS[lower] ?? lower).toLowerCase();
      const option = known.find((candidate) => candidate.name.toLowerCase() === canonical);
      if (option === undefined) {
        const names = known.map((candidate) => candidate.name);
        throw this.#wrong(`there is no option ${name} for reading ${format} files${didYouMean(name, names)}`, names);
      }
      if (this.#given.has(option.name))
        throw this.#wrong(`the option ${option.name} is given twice, as ${name} as well`);
      this.#given.set(option.name, value);
    }
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The value given, else the default; empty for an option the format does not have. */
  text(name: string): string {
    return this.#given.get(name) ?? READER_OPTIONS[this.#format].find((option) => option.name === name)?.default ?? '';
  }

  flag(name: string): boolean {
    const text = this.text(name).toLowerCase();
    if (text !== 'true' && text !== 'false' && this.has(name)) throw this.#value(name, 'true or false');
    return text === 'true';
  }

  choice<T>(name: string, choices: Readonly<Record<string, T>>): T {
    const choice = choices[this.text(name).toLowerCase()];
    if (choice === undefined) throw this.#value(name, Object.keys(choices).join(', '));
    return choice;
  }

  /** One or more characters, with the escapes that Spark takes. */
  separator(name: string): string {
    const text = this.text(name).replace(/\\(?:([tnrbf\\'"0])|u([0-9a-fA-F]{4}))/g, (_, simple, code) =>
      code === undefined ? (ESCAPES[simple as string] as string) : String.fromCharCode(Number.parseInt(code, 16)),
    );
    if (text === '') throw this.#value(name, 'one character or more');
    return text;
  }

  /** One ASCII character, or none. */
  character(name: string): string {
    const given = this.text(name);
    const text = given.length > 1 ? this.separator(name) : given;
    if (text === '\0') return '';
    if (text.length > 1 || text > '\x7f') throw this.#value(name, 'one ASCII character, or nothing');
    return text;
  }

  pattern(name: string): string | null {
    const text = this.text(name);
    if (text === '') return null;
    checkJavaPattern(name, text);
    return text;
  }

  #value(name: string, expected: string): OffloadError {
    return this.#wrong(`the option ${name}=${this.text(name)} for ${this.#format} files should be ${expected}`);
  }

  #wrong(what: string, names: readonly string[] = []): OffloadError {
    return new OffloadError('USAGE', names.length === 0 ? what : `${what}; known are ${names.join(', ')}`);
  }
}
