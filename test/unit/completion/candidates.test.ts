import { describe, expect, it } from 'vitest';
import { completeWords } from '../../../src/completion/candidates.ts';
import { configOf, makeWorkspace } from '../config/workspace.ts';

const { environment, write } = await makeWorkspace();
await write('kafkaload.yml', configOf({ topics: { clicks: { topicName: 'c' }, comet_offsets: { topicName: 'o' } } }));
await write('other.conf', 'kafka.topics.far { topicName = f }, connections { disk { type = FS }, pg { type = JDBC } }');
await write('broken.yml', 'kafka: [');

const complete = async (...words: string[]) => {
  const lines = await completeWords(words, environment());
  return lines.map((line) => line.split('\t')[0]);
};

describe('completeWords', () => {
  it.each([
    [[''], ['offsets', 'sample', 'verify', 'config', 'completion']],
    [['o'], ['offsets']],
    [['--pa'], ['--path']],
    [['--path', 'x', '--pa'], []],
    [['--write-pat'], ['--write-path']],
    [['--tr'], ['--transform']],
    [
      ['--stre'],
      [
        '--stream',
        '--streaming-trigger',
        '--streaming-trigger-option',
        '--streaming-to-table',
        '--streaming-partition-by',
      ],
    ],
    [
      ['offsets', ''],
      ['show', 'set', 'reset', 'recover'],
    ],
    [
      ['offsets', 're'],
      ['reset', 'recover'],
    ],
    [['offsets', 'set', '--o'], ['--offsets']],
    [['offsets', 'show', '--dry'], []],
    [
      ['offsets', 'set', '--offsets', ''],
      ['earliest', 'latest'],
    ],
    [['sample', '--li'], ['--limit']],
    [['sample', '--conn'], ['--connectionRef']],
    [['sample', '--format', ''], ['kafka']],
    [
      ['sample', '--config', ''],
      ['orders', 'clicks'],
    ],
    [['verify', '--path', ''], [':files']],
    [['verify', '--de'], ['--deep']],
    [['config', ''], ['check']],
    [['config', 'check', '--conf', ''], [':files']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['completion', 'bash', ''], ['--help']],
    [['--format', 'pa'], ['parquet']],
    [['--format=pa'], ['--format=parquet']],
    [['--format', '=', 'pa'], ['parquet']],
    [
      ['--report', '='],
      ['text', 'json'],
    ],
    [
      ['--write-format', 'c'],
      ['csv', 'console'],
    ],
    [['--write-mode', 'app'], ['Append']],
    [['--path', ''], [':files']],
    [['--write-path=x'], [':files']],
    [
      ['--config', ''],
      ['orders', 'clicks'],
    ],
    [['--write-config', "'cl"], ['clicks']],
    [['--conf', 'other.conf', '--config', ''], ['far']],
    [
      ['--conf', '=', 'other.conf', '--connectionRef', ''],
      ['disk', 'pg'],
    ],
    [['--conf', 'broken.yml', '--config', ''], []],
    [['--workers', ''], []],
    [['--dry-run', '--verb'], ['--verbose']],
  ])('%j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected);
  });

  it('describes options in one line', async () => {
    expect(await completeWords(['--no-c'], environment())).toEqual([
      '--no-commit\tread and write, and leave the saved offsets as they are',
    ]);
  });
});
