/**
 * The tables of the README against the code. Those of the options of formats are written by this test with
 * KAFKALOAD_UPDATE_README=1; all others here are written by hand and only compared.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../../bench/arguments.ts';
import { commandNames, commandOf } from '../../../src/config/commandLine.ts';
import { CONSOLE_OPTIONS } from '../../../src/config/consoleSink.ts';
import { FILE_FORMATS } from '../../../src/config/formats.ts';
import { SIDE_PROPERTIES } from '../../../src/config/kafkaProperties.ts';
import { READER_OPTIONS } from '../../../src/config/readerOptionTable.ts';
import { connectionShape, kafkaShape, topicShape } from '../../../src/config/schema.ts';
import { WRITER_OPTIONS } from '../../../src/config/writerOptionTable.ts';
import { ERROR_CODES, OffloadError } from '../../../src/errors.ts';
import { STREAM_METRICS } from '../../../src/stream/observe/metrics.ts';
import { allowedCasts } from '../../../src/transform/casts.ts';
import { expectTable, formatTable, readme, tableAfter } from './readme.ts';

const ROOT = new URL('../../../', import.meta.url);

/** Everything in backticks in the first column. */
const names = (table: readonly (readonly string[])[]) =>
  table.flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));

interface Described {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/** One row for what an option means in several formats alike. */
function optionTable(options: Readonly<Record<string, readonly Described[]>>): string {
  const rows = new Map<string, { option: Described; formats: string[] }>();
  for (const [format, described] of Object.entries(options)) {
    for (const option of described) {
      const key = JSON.stringify([option.name, option.default, option.meaning]);
      const row = rows.get(key) ?? { option, formats: [] };
      row.formats.push(format);
      rows.set(key, row);
    }
  }
  const cells = [...rows.values()].map(({ option, formats }) => {
    const where = formats.length === FILE_FORMATS.length ? 'all' : formats.join(', ');
    const meaning = option.meaning.charAt(0).toUpperCase() + option.meaning.slice(1);
    return [`\`${option.name}\``, where, option.default === '' ? '' : `\`${option.default}\``, meaning];
  });
  return formatTable(['Option', 'Formats', 'Default', 'Meaning'], cells);
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

  it('tells of every option of a sample', () => {
    const section = readme.slice(readme.indexOf('### Looking first'), readme.indexOf('### Saved offsets'));
    const command = commandOf('sample');
    const options = command.createHelp().visibleOptions(command);
    for (const { long } of options) if (long !== '--help') expect(section).toContain(`\`${long}`);
    const defaults = tableAfter('### Looking first').map(([name = '', value = '']) => [
      name.slice(1, -1),
      value.slice(1, -1),
    ]);
    for (const [name = '', value] of defaults) {
      const description = options.find(({ long }) => name.startsWith(`${long} `))?.description;
      expect([name, description]).toEqual([name, expect.stringContaining(`(default: ${value})`)]);
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
      if (words.length === 0) expect(text).toContain(`\`kafkaload ${name} `);
      for (const word of words) expect(text).toContain(`\`kafkaload ${name} ${word}`);
    }
  });

  it('has the options of every format, as the readers and writers have them', () => {
    expectTable('\nReading (`--options`):', optionTable(READER_OPTIONS));
    expectTable('\nWriting (`--write-options`):', optionTable({ ...WRITER_OPTIONS, console: CONSOLE_OPTIONS }));
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

  it('lists every metric of a stream', () => {
    const rows = STREAM_METRICS.map(({ name, type, labels = [], help }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(', '),
      help,
    ]);
    expectTable('### Seeing a stream run\n', formatTable(['Metric', 'Type', 'Labels', 'Meaning'], rows));
  });

  it('lists every kind of finding of verify', () => {
    const source = readFileSync(new URL('src/verify/types.ts', ROOT), 'utf8');
    const [, union = ''] = /export type FindingKind =([^;]*);/.exec(source) ?? [];
    const kinds = [...union.matchAll(/'([a-z-]+)'/g)].map(([, kind = '']) => kind);
    expect(kinds).toContain('hole');
    const line = readme.slice(readme.indexOf('Kinds are `hole`')).split('.')[0] ?? '';
    expect([...line.matchAll(/`([a-z-]+)`/g)].map(([, kind]) => kind)).toEqual(kinds);
  });

  it('lists every error code with its exit status', () => {
    const rows = tableAfter('`--verbose` adds the code').map(([code = '', status]) => [
      code.slice(1, -1),
      Number(status),
    ]);
    expect(rows).toEqual(ERROR_CODES.map((code) => [code, new OffloadError(code, '').exitStatus]));
  });

  it('names files, folders and tests that are there', () => {
    const inside = readme.slice(readme.indexOf('## Internals'));
    const paths = [...inside.matchAll(/`((?:src|test|workers|bench|bin|scripts)\/[\w./]*)`/g)].map(
      ([, path = '']) => path,
    );
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
  });

  it('lists every bench', () => {
    const help = parseArguments(['--help']);
    const text = help.kind === 'print' ? help.text.slice(help.text.indexOf('Commands:')) : '';
    const benches = [...text.matchAll(/^ {2}(\w+) /gm)].map(([, name = '']) => name);
    expect(benches).toContain('load');
    const row = readme.split('\n').find((line) => line.startsWith('| `npm run bench`'));
    for (const name of benches) expect(row).toContain(`\`${name}\``);
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
