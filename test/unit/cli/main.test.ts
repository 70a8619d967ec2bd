import { readFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../../src/config/job.ts';
import { runOffsetsCommand } from '../../../src/coordinator/offsetsCommand.ts';
import type { OffloadReport } from '../../../src/coordinator/report.ts';
import { OffloadError } from '../../../src/errors.ts';
import { main, type Offload } from '../../../src/main.ts';
import { configOf, makeWorkspace } from '../config/workspace.ts';

const { folder, environment, write } = await makeWorkspace();
await write('kafkaload.yml', configOf({ server: { 'key.deserializer': 'x' } }));

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

const REPORT: OffloadReport = {
  config: 'orders',
  topic: 'orders',
  topics: ['orders'],
  committed: true,
  run: 'r1',
  rows: 10,
  bytes: 2_048,
  seconds: 2,
  files: [{ path: '/out/part.parquet', rows: 10, bytes: 2_048 }],
  offsets: [{ topic: 'orders', partition: 0, from: null, to: 10 }],
  workers: [{ worker: 0, rows: 10 }],
  warnings: [],
  retries: 0,
  retryCauses: {},
  recovered: [],
};

async function run(argv: string, offload: Offload = async () => REPORT, signal = new AbortController().signal) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const loadOffload = async () => offload;
  const loadOffsets = async () => runOffsetsCommand;
  const words = argv.split(' ').filter((word) => word !== '');
  const status = await main(words, {
    environment: environment(),
    stdout,
    stderr,
    signal,
    loadOffload,
    loadOffsets,
  });
  return { status, stdout: stdout.text, stderr: stderr.text };
}

const failing =
  (error: unknown): Offload =>
  () =>
    Promise.reject(error);

describe('main', () => {
  it('hands the job over and prints the summary', async () => {
    const jobs: Job[] = [];
    const result = await run('--config orders --path out', async (job) => {
      jobs.push(job);
      return REPORT;
    });
    expect(jobs.map((job) => [job.config, job.sink.kind === 'files' && job.sink.target.path])).toEqual([
      ['orders', `${folder}/out`],
    ]);
    expect(result).toEqual({
      status: 0,
      stderr: '',
      stdout:
        'orders: 10 rows of topic orders in 1 file, 2 KiB, 2.0 s, 5 rows/s\n' +
        'files\n  /out/part.parquet  10 rows, 2 KiB\n' +
        'saved offsets by partition\n  0: none -> 10\n',
    });
  });

  it('prints one JSON document with offsets by partition, and no progress', async () => {
    const result = await run('--config orders --path out --report json', async (_job, { progress }) => {
      progress.start(10, 100);
      progress.advance({ rows: 10, bytes: 100, offsets: 10 });
      return REPORT;
    });
    expect(result.stderr).toBe('');
    expect(JSON.parse(result.stdout)).toEqual({ ...REPORT, offsets: { 0: { from: null, to: 10 } } });
  });

  it('prints the plan of a dry run alone', async () => {
    const result = await run('--config orders --path out --dry-run', async () => ({ ...REPORT, plan: 'the plan\n' }));
    expect(result).toEqual({ status: 0, stdout: 'the plan\n', stderr: '' });
  });

  it('says notes with --verbose only, as JSON lines where no terminal is', async () => {
    const { stderr } = await run('--config orders --path out --verbose');
    expect(JSON.parse(stderr)).toMatchObject({
      level: 20,
      msg: 'kafka.serverOptions.key.deserializer has no effect here: fields decides how keys and values are read',
    });
  });

  it.each([
    ['--pth x', 2, "kafkaload: unknown option '--pth'; did you mean --path? (kafkaload --help lists all options)\n"],
    [
      '--config ordres --path x',
      2,
      'kafkaload: there is no entry kafka.topics.ordres in kafkaload.yml; it has orders; did you mean orders?\n',
    ],
  ])('%s exits %d with one line', async (argv, status, stderr) => {
    expect(await run(argv)).toEqual({ status, stdout: '', stderr });
  });

  it('prints one line for an error, and its causes with --verbose', async () => {
    const cause = new Error('connect ECONNREFUSED\n  127.0.0.1:1', { cause: new Error('deep') });
    const error = new OffloadError('OFFSET_LOST', 'offsets 5 to 9 are gone', { cause });
    const short = await run('--config orders --path out', failing(error));
    expect(short).toEqual({ status: 3, stdout: '', stderr: 'kafkaload: offsets 5 to 9 are gone\n' });
    const long = await run('--config orders --path out --verbose', failing(error));
    expect(long.stderr.split('\n').slice(1)).toEqual([
      'kafkaload: offsets 5 to 9 are gone',
      '  code OFFSET_LOST, exit status 3',
      '  caused by: connect ECONNREFUSED 127.0.0.1:1',
      '  caused by: deep',
      '',
    ]);
  });

  it('prints one line for what nobody foresaw, and the stack with --verbose', async () => {
    const error = new TypeError('x is not a function');
    const short = await run('--config orders --path out', failing(error));
    expect(short.stderr).toBe('kafkaload: unexpected error: x is not a function (--verbose shows more)\n');
    expect(short.status).toBe(1);
    const long = await run('--config orders --path out --verbose', failing(error));
    expect(long.stderr).toContain(error.stack);
  });

  it.each([
    ['INTERRUPTED', 130],
    ['TERMINATED', 143],
  ] as const)('%s by a signal exits %d, whatever broke on the way', async (code, status) => {
    const controller = new AbortController();
    const result = await run(
      '--config orders --path out',
      (_job, _ui, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('socket closed')));
          controller.abort(new OffloadError(code, 'stopped'));
        }),
      controller.signal,
    );
    expect(result).toEqual({ status, stdout: '', stderr: 'kafkaload: stopped\n' });
  });

  it('exits 0 when the run was done before the signal had an effect', async () => {
    const controller = new AbortController();
    const offload: Offload = async () => {
      controller.abort(new OffloadError('INTERRUPTED', 'stopped'));
      return REPORT;
    };
    expect((await run('--config orders --path out', offload, controller.signal)).status).toBe(0);
  });

  it('prints help and version on stdout', async () => {
    expect(await run('--version')).toEqual({ status: 0, stdout: '0.1.0\n', stderr: '' });
    expect((await run('--help')).stdout).toContain('Usage: kafkaload (--config NAME | --path SOURCE)');
  });

  it('imports nothing heavy until a run needs it, so that --help is quick', async () => {
    const packages = new Set<string>();
    const seen = new Set<string>();
    const follow = async (file: URL): Promise<void> => {
      if (seen.has(file.href)) return;
      seen.add(file.href);
      const source = await readFile(file, 'utf8');
      for (const [, name = ''] of source.matchAll(/^(?:import|export) (?!type)[^;]*?from '([^']+)';/gm)) {
        if (name.startsWith('.')) await follow(new URL(name, file));
        else packages.add(name);
      }
    };
    await follow(new URL('../../../src/cli.ts', import.meta.url));
    expect(packages).toEqual(new Set(['commander', 'node:fs', 'node:os']));
  });
});
