import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/config/commandLine.ts';
import { errorOf } from '../config/workspace.ts';

const parse = (...argv: string[]) => parseCommandLine(argv, () => '1.2.3');
const golden = (name: string) => join(import.meta.dirname, 'golden', name);

describe('parseCommandLine', () => {
  it('hands every option on as text', () => {
    const values = {
      config: 'a',
      connectionRef: 'b',
      format: 'c',
      path: 'd,e*',
      options: 'f=g,h="i,j"',
      maxRecords: '10',
      startingOffsets: '{"0":12}',
      endingOffsets: 'latest',
      writeConfig: 'k',
      writeFormat: 'l',
      writePath: 'm',
      writeMode: 'n',
      writeOptions: 'o=1,p=2',
      writeCoalesce: '1',
      conf: 'q',
      workers: '2',
      maxMemory: '1G',
      report: 'json',
    };
    const flags = Object.entries(values).map(([name, value]): [string, string] => [
      name === 'connectionRef' ? '--connectionRef' : `--${name.replace(/[A-Z]/g, (each) => `-${each.toLowerCase()}`)}`,
      value,
    ]);
    const words = ['--dry-run', '--verbose', '--no-commit', '--take-over', '--reload'];
    const expected = {
      kind: 'run',
      options: { ...values, dryRun: true, verbose: true, noCommit: true, takeOver: true, reload: true },
    };
    expect(parse(...flags.flat(), ...words)).toEqual(expected);
    expect(parse(...words, ...flags.map((pair) => pair.join('=')))).toEqual(expected);
    expect(parse()).toEqual({ kind: 'run', options: {} });
  });

  it('hands the other commands on', () => {
    expect(parse('config', 'check', '--conf', 'a.conf', '--report', 'json')).toEqual({
      kind: 'check',
      options: { conf: 'a.conf', report: 'json' },
    });
    expect(parse('sample', '--config', 'a', '--limit', '5', '--transform', './b.mjs', '--truncate', 'false')).toEqual({
      kind: 'sample',
      options: { config: 'a', limit: '5', transform: './b.mjs', truncate: 'false' },
    });
    expect(parse('completion', 'zsh')).toEqual({ kind: 'completion', shell: 'zsh' });
    expect(parse('completion', '--candidates', '--help', '')).toEqual({ kind: 'candidates', words: ['--help', ''] });
    expect(parse('offsets', 'reset', '--config', 'a')).toEqual({
      kind: 'offsets',
      action: 'reset',
      options: { config: 'a' },
    });
  });

  it('prints the version', () => {
    expect(parse('--version')).toEqual({ kind: 'print', text: '1.2.3\n' });
  });

  it.each([
    ['help.txt', ['--config', 'x', '--help']],
    ['help-offsets.txt', ['offsets', '--help']],
    ['help-offsets-show.txt', ['offsets', 'show', '--help']],
    ['help-offsets-set.txt', ['offsets', 'set', '-h']],
    ['help-offsets-reset.txt', ['offsets', 'reset', '--help']],
    ['help-offsets-recover.txt', ['offsets', 'recover', '--help']],
    ['help-sample.txt', ['sample', '--help']],
    ['help-config.txt', ['config', '--help']],
    ['help-verify.txt', ['verify', '--help']],
    ['help-config-check.txt', ['config', 'check', '--help']],
    ['help-completion.txt', ['completion', '--help']],
  ])('prints %s', async (name, argv) => {
    const help = parse(...argv);
    if (help.kind !== 'print') throw new Error('no help was printed');
    await expect(help.text).toMatchFileSnapshot(golden(name));
  });

  it('refuses everything else in one line', async () => {
    const refused = [
      ['--pth', 'x'],
      ['--config'],
      ['--config', 'a', '--write-path', 'out', 'data/a.csv', 'data/b.csv'],
      ['orders'],
      ['offset', 'show'],
      ['offsets'],
      ['offsets', 'sow'],
      ['offsets', 'show', '--pth'],
      ['offsets', 'set', '--offsets'],
      ['offsets', 'show', 'orders'],
      ['sample', 'orders'],
      ['sample', '--config', 'a', '--write-path', 'out'],
      ['verify', 'out'],
      ['verify', '--pth', 'out'],
      ['config'],
      ['config', 'chek'],
      ['config', 'check', 'a.conf'],
      ['config', 'check', '--config', 'a'],
      ['completion'],
      ['completion', 'tcsh'],
      ['completion', 'bash', 'zsh'],
    ];
    const lines: string[] = [];
    for (const argv of refused) {
      lines.push(`kafkaload ${argv.join(' ')}\n  ${await errorOf(() => parse(...argv))}\n`);
    }
    await expect(lines.join('')).toMatchFileSnapshot(golden('errors-command-line.txt'));
  });
});
