/**
 * The tables of the README against the code. Those of the options of formats are written by this test with
 * KAFKALOAD_UPDATE_README=1; all others are written by hand and only compared.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandNames, commandOf } from '../../../src/config/commandLine.ts';
import { CONSOLE_OPTIONS } from '../../../src/config/consoleSink.ts';
import { FILE_FORMATS } from '../../../src/config/formats.ts';
import { SIDE_PROPERTIES } from '../../../src/config/kafkaProperties.ts';
import { READER_OPTIONS } from '../../../src/config/readerOptions.ts';
import { connectionShape, kafkaShape, topicShape } from '../../../src/config/schema.ts';
import { WRITER_OPTIONS } from '../../../src/config/writerOptions.ts';
import { ERROR_CODES, OffloadError } from '../../../src/errors.ts';
import { allowedCasts } from '../../../src/transform/casts.ts';

const FILE = new URL('../../../README.md', import.meta.url);
const readme = readFileSync(FILE, 'utf8');

/** Rows of the first table after a text, as cells; a `|` in a cell is written `\|`. */
function tableAfter(text: string, from = readme): string[][] {
  const at = from.indexOf(text);
  if (at === -1) throw new Error(`README has no "${text}"`);
  const lines = from.slice(at).split('\n').slice(1);
  const start = lines.findIndex((line) => line.startsWith('| '));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** Everything in backticks in the first column. */
const names = (table: readonly (readonly string[])[]) =>
  table.flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));

interface Described {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/** One row for what an option means in several formats alike. */
function formatTable(options: Readonly<Record<string, readonly Described[]>>): string {
  const rows = new Map<string, { option: Described; formats: string[] }>();
  for (const [format, described] of Object.entries(options)) {
    for (const option of described) {
      const key = JSON.stringify([option.name, option.default, option.meaning]);
      const row = rows.get(key) ?? { option, formats: [] };
      row.formats.push(format);
      rows.set(key, row);
    }
  }
  const lines = [...rows.values()].map(({ option, formats }) => {
    const meaning = option.meaning.charAt(0).toUpperCase() + option.meaning.slice(1);
    const where = formats.length === FILE_FORMATS.length ? 'all' : formats.join(', ');
    return `| \`${option.name}\` | ${where} | ${option.default === '' ? '' : `\`${option.default}\``} | ${meaning.replaceAll('|', '\\|')} |`;
  });
  return ['| Option | Formats | Default | Meaning |', '| --- | --- | --- | --- |', ...lines].join('\n');
}

/** The table after a text is this one; with KAFKALOAD_UPDATE_README it is made so. */
function expectTable(text: string, table: string): void {
  if (process.env.KAFKALOAD_UPDATE_README) {
    const current = readFileSync(FILE, 'utf8');
    const start = current.indexOf('| Option |', current.indexOf(text));
    const end = current.indexOf('\n\n', start);
    writeFileSync(FILE, current.slice(0, start) + table + current.slice(end));
  }
  const now = readFileSync(FILE, 'utf8');
  expect(now.slice(now.indexOf('| Option |', now.indexOf(text))).split('\n\n')[0]).toBe(table);
}

describe('the README', () => {
  it('lists every option of the command line, and no other', () => {
    const flags = commandOf('run').createHelp().visibleOptions(commandOf('run'));
    const listed = names(tableAfter('## Options\n')).filter((name) => name.startsWith('--'));
    const words = new Set(listed.map((name) => name.replace(/ .*/, '')));
    expect(words).toEqual(new Set(flags.map(({ long }) => long)));
    for (const { long = '', required } of flags) {
      const isRefused = /^--stream/.test(long);
      const hasValue = listed.some((name) => name.startsWith(`${long} `));
      if (!isRefused) expect([long, hasValue]).toEqual([long, required]);
    }
  });

  it('gives the defaults that --help gives', () => {
    const help = commandOf('run').createHelp().visibleOptions(commandOf('run'));
    const rows = tableAfter('## Options\n');
    for (const name of ['--format', '--write-mode', '--report']) {
      const shown = /\(default: (\w+)\)/.exec(help.find(({ long }) => long === name)?.description ?? '')?.[1];
      const row = rows.find(([cell]) => cell?.startsWith(`\`${name} `));
      expect([name, row?.[1]]).toEqual([name, `\`${shown}\``]);
    }
  });

  it('lists every command', () => {
    const text = readme.slice(readme.indexOf('## Options'));
    for (const name of commandNames) {
      const command = commandOf(name);
      const words = [
        ...command.commands.map((each) => each.name()),
        ...command.registeredArguments.flatMap((each) => each.argChoices?.[0] ?? []),
      ];
      for (const word of words) expect(text).toContain(`\`kafkaload ${name} ${word}`);
    }
  });

  it('has the options of every format, as the readers and writers have them', () => {
    expectTable('\nReading (`--options`):', formatTable(READER_OPTIONS));
    expectTable('\nWriting (`--write-options`):', formatTable({ ...WRITER_OPTIONS, console: CONSOLE_OPTIONS }));
  });

  it('lists every key of the configuration, and no other', () => {
    const keys = (text: string) => new Set(names(tableAfter(text)));
    expect(keys('Keys below `kafka`:')).toEqual(new Set(Object.keys(kafkaShape)));
    expect(keys('Keys of a topic:')).toEqual(new Set(Object.keys(topicShape)));
    expect(keys('### Connections\n')).toEqual(new Set(Object.keys(connectionShape)));
    for (const key of names(tableAfter('The entry `comet_offsets` says')))
      expect(Object.keys(topicShape)).toContain(key);
  });

  it('lists every property of a topic that is not one of a Kafka client', () => {
    const listed = names(tableAfter('`accessOptions` and `serverOptions` take every librdkafka property'));
    expect(listed).toEqual(expect.arrayContaining([...SIDE_PROPERTIES.source, ...SIDE_PROPERTIES.sink]));
  });

  it('lists every error code with its exit status', () => {
    const rows = tableAfter('`--verbose` adds the code').map(([code = '', status]) => [
      code.slice(1, -1),
      Number(status),
    ]);
    expect(rows).toEqual(ERROR_CODES.map((code) => [code, new OffloadError(code, '').exitStatus]));
  });

  it('lists the types of every column of a message', () => {
    const rows = tableAfter('### Fields\n').flatMap(([columns = '', types = '']) => {
      const words = types.replace(/ \([^)]*\)/g, '').split(', ');
      return [...columns.matchAll(/`(\w+)`/g)].map(([, column = '']): [string, string[]] => [column, words]);
    });
    const expected = Object.entries(allowedCasts).map(([column, types]): [string, string[]] => [
      column,
      types.map((type) => (type === 'HEADERS' ? '' : type)),
    ]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(expected));
  });
});
