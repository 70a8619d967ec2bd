import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/config/commandLine.ts';
import type { OffsetsAction, OffsetsOptions } from '../../../src/config/options.ts';
import { resolveOffsetsJob } from '../../../src/config/resolveJob.ts';
import { formatOffsetsJson, formatOffsetsReport, type OffsetsReport } from '../../../src/coordinator/offsetsReport.ts';
import { configOf, errorOf, makeWorkspace } from '../config/workspace.ts';

const parse = (...argv: string[]) => parseCommandLine(['offsets', ...argv], () => '1.2.3');
const { folder, environment, write } = await makeWorkspace();
await write('kafkaload.yml', configOf({ kafka: { cometOffsetsMode: 'FILE' } }));

describe('the command line of offsets', () => {
  it.each([
    [['show', '--config', 'a', '--report', 'json'], 'show', { config: 'a', report: 'json' }],
    [
      ['set', '--config', 'a', '--offsets', '{"0":1}', '--dry-run'],
      'set',
      { config: 'a', offsets: '{"0":1}', dryRun: true },
    ],
    [
      ['reset', '--config', 'a', '--conf', 'b.yml', '--verbose'],
      'reset',
      { config: 'a', conf: 'b.yml', verbose: true },
    ],
    [['recover', '--config', 'a', '--discard'], 'recover', { config: 'a', discard: true }],
  ])('hands %j on', (argv, action, options) => {
    expect(parse(...argv)).toEqual({ kind: 'offsets', action, options });
  });

  it.each([
    [[], 'offsets needs one of show, set, reset, recover'],
    [['shw'], "unknown command 'shw'; did you mean show?"],
    [['set', '--ofsets', '1'], "unknown option '--ofsets'; did you mean --offsets?"],
    [['show', '--dry-run'], "unknown option '--dry-run'"],
    [['reset', '--discard'], "unknown option '--discard'"],
    [['show', 'orders'], "too many arguments for 'show'. Expected 0 arguments but got 1."],
  ])('refuses %j in one line', async (argv, message) => {
    expect(await errorOf(() => parse(...argv))).toBe(`USAGE: ${message} (kafkaload offsets --help tells more)`);
  });

  it('prints help', () => {
    const help = parse('--help');
    if (help.kind !== 'print') throw new Error('no help was printed');
    expect(help.text).toMatchInlineSnapshot(`
      "Usage: kafkaload offsets show|set|reset|recover --config NAME [options]

      Shows and changes the offsets saved of a config: the next ones to read.

      Options:
        -h, --help         print this text

      Commands:
        show [options]     Saved offsets beside log start, end and lag; a live or unfinished run. Looks
                           only.
        set [options]      Saves other offsets; a run that was prepared is finished first.
        reset [options]    Forgets all that is saved, so that the next run begins by startingOffsets.
        recover [options]  Finishes a run that was prepared and did not end; reads nothing new.

      Examples:
        What is saved, beside what the topic holds:
          kafkaload offsets show --config orders

        Read partition 0 again from offset 1200; other partitions stay as they are:
          kafkaload offsets set --config orders --offsets '{"0": 1200}'

        Begin by startingOffsets again, after the topic was deleted and made again:
          kafkaload offsets reset --config orders

      "
    `);
    const helpOfSet = parse('set', '--help');
    if (helpOfSet.kind !== 'print') throw new Error('no help was printed');
    expect(helpOfSet.text).toMatchInlineSnapshot(`
      "Usage: kafkaload offsets set --config NAME [options]

      Saves other offsets; a run that was prepared is finished first.

      Options:
        --config <name>      entry under kafka.topics whose offsets are meant
        --conf <file>        configuration file (default: as for kafkaload itself)
        --report <format>    text or json (default: text)
        --verbose            say more on stderr, and the whole chain of causes of an error
        --offsets <offsets>  offsets by partition as {"0": 12, "1": 40}, partitions not named stay; or for
                             all: earliest, latest, an ISO time
        --dry-run            say what would be done and change nothing
        -h, --help           print this text
      "
    `);
  });
});

describe('resolveOffsetsJob', () => {
  const resolve = (action: OffsetsAction, options: OffsetsOptions) =>
    resolveOffsetsJob(action, { config: 'orders', ...options }, environment());

  it('needs no target', async () => {
    expect(await resolve('show', { report: 'JSON' })).toMatchObject({
      ...{
        action: 'show',
        config: 'orders',
        selection: { kind: 'topics', topics: ['orders'] },
        spec: null,
        discard: false,
        report: 'json',
      },
      offsets: { mode: 'FILE', name: `${folder}/comet_offsets` },
    });
  });

  it.each([
    ['earliest', { kind: 'earliest' }],
    ['Latest', { kind: 'latest' }],
    ['{"0": 12, "1": -2}', { kind: 'offsets', byTopic: { orders: { 0: 12, 1: -2 } } }],
    ['{"orders": {"0": 12}}', { kind: 'offsets', byTopic: { orders: { 0: 12 } } }],
    ['2026-01-31T06:00:00Z', { kind: 'timestamp', timestampMs: Date.UTC(2026, 0, 31, 6) }],
    ['2026-01-31', { kind: 'timestamp', timestampMs: Date.UTC(2026, 0, 31) }],
  ])('reads --offsets %s', async (offsets, spec) => {
    expect((await resolve('set', { offsets })).spec).toEqual(spec);
  });

  const forms = 'write earliest, latest, {"0": 12} or {"TOPIC": {"0": 12}}; -2 is earliest, -1 latest';
  it.each([
    [
      undefined,
      `--offsets is missing; name offsets by partition as --offsets '{"0": 12}', earliest, latest or an ISO time`,
    ],
    [
      '12',
      '--offsets "12" is neither earliest nor latest, nor offsets as {"0": 12}, nor an ISO time as 2026-01-31T06:00:00Z',
    ],
    ['{}', '--offsets names no partition; write offsets by partition as {"0": 12}'],
    ['{"0": 1', `--offsets cannot be read; ${forms}`],
    ['{"0": "x"}', '--offsets has "x" for partition 0; offsets begin at -2 here'],
    ['{"a": 1}', `--offsets has "a" for a partition; ${forms}`],
    ['{"other": {"0": 1}}', '--offsets names topic other, but this entry reads topic orders'],
    [
      '2026-13-01',
      '--offsets "2026-13-01" is neither earliest nor latest, nor offsets as {"0": 12}, nor an ISO time as 2026-01-31T06:00:00Z',
    ],
  ])('refuses --offsets %s', async (offsets, message) => {
    const options = offsets === undefined ? {} : { offsets };
    expect((await errorOf(() => resolve('set', options))).replace(/^(USAGE|CONFIG_INVALID): /, '')).toBe(message);
  });
});

const REPORT: OffsetsReport = {
  action: 'show',
  config: 'orders',
  topic: 'orders',
  dryRun: false,
  discard: false,
  mode: 'STREAM',
  place: 'comet_offsets',
  aliveRun: null,
  pendingRun: null,
  recovered: [],
  discarded: [],
  remarks: [],
};
const MOVES = [
  { topic: 'orders', partition: 0, from: null, to: 1200 },
  { topic: 'orders', partition: 1, from: 5, to: 5 },
];
const FORGOTTEN = { topic: 'orders', partition: 0, from: 12, to: null };
const RUN = { run: 'r1', host: 'h', pid: 7 };

describe('the report', () => {
  it('shows offsets beside the log, a live run and one that is prepared', () => {
    const partitions = [
      { topic: 'orders', partition: 0, saved: 1200, logStart: 0, end: 2500, lag: 1300 },
      { topic: 'orders', partition: 10, saved: null, logStart: null, end: null, lag: null },
    ];
    const report = { ...REPORT, partitions, aliveRun: RUN, pendingRun: { ...RUN, offsets: MOVES }, remarks: ['so'] };
    expect(formatOffsetsReport(report)).toMatchInlineSnapshot(`
      "orders: offsets of topic orders, saved in topic comet_offsets
        partition   saved   log start     end     lag
                0   1,200           0   2,500   1,300
               10    none        none    none    none
      run r1 is under way on host h, pid 7
      run r1 is prepared on host h and not committed: unless it still runs, the next run finishes it
        partition   from      to
                0   none   1,200
                1      5       5
      so"
    `);
    expect(JSON.parse(formatOffsetsJson(report))).toMatchObject({
      partitions: { 0: { saved: 1200, logStart: 0, end: 2500, lag: 1300 }, 10: { saved: null } },
      aliveRun: RUN,
      pendingRun: { run: 'r1', offsets: { 0: { from: null, to: 1200 } } },
    });
  });

  it('says what was set, forgotten, finished and given back, and what would be', () => {
    const reports: OffsetsReport[] = [
      { ...REPORT, action: 'set', offsets: MOVES },
      { ...REPORT, action: 'set', offsets: MOVES, dryRun: true, aliveRun: RUN },
      { ...REPORT, action: 'reset', offsets: [FORGOTTEN] },
      { ...REPORT, action: 'reset', offsets: [FORGOTTEN], dryRun: true },
      { ...REPORT, action: 'reset', offsets: [] },
      { ...REPORT, action: 'recover' },
      { ...REPORT, action: 'recover', recovered: [{ run: 'r0', files: ['a'] }] },
      { ...REPORT, action: 'recover', discard: true, discarded: [{ run: 'r0', offsets: MOVES }] },
      { ...REPORT, action: 'recover', discard: true, dryRun: true, pendingRun: { ...RUN, offsets: MOVES } },
    ];
    expect(reports.map(formatOffsetsReport).join('\n--\n')).toMatchInlineSnapshot(`
      "orders: set saved offsets of topic orders
        partition   from      to
                0   none   1,200
                1      5       5
      --
      run r1 is under way on host h, pid 7
      orders: would set saved offsets of topic orders
        partition   from      to
                0   none   1,200
                1      5       5
      nothing was changed
      --
      orders: forgot saved offsets of topic orders; the next run begins by startingOffsets
        partition   from     to
                0     12   none
      --
      orders: would forget saved offsets of topic orders; the next run begins by startingOffsets
        partition   from     to
                0     12   none
      nothing was changed
      --
      orders: no offsets of topic orders are saved
      --
      orders: no run is prepared and not committed
      --
      finished run r0, which had stopped half-way: 1 file published
      --
      withdrew run r0; the next run reads its ranges again
        partition   from      to
                0   none   1,200
                1      5       5
      --
      orders: would withdraw run r1
      run r1 is prepared on host h and not committed: unless it still runs, the next run finishes it
        partition   from      to
                0   none   1,200
                1      5       5
      nothing was changed"
    `);
  });
});

it('tells topics apart where a config can read several', () => {
  const partitions = ['clicks', 'orders'].map((topic, index) => {
    return { topic, partition: 0, saved: index, logStart: 0, end: 10, lag: 10 - index };
  });
  const report = { ...REPORT, topic: null, partitions };
  expect(formatOffsetsReport(report)).toBe(
    [
      'orders: offsets of its topics, saved in topic comet_offsets',
      '   topic   partition   saved   log start   end   lag',
      '  clicks           0       0           0    10    10',
      '  orders           0       1           0    10     9',
    ].join('\n'),
  );
  expect(JSON.parse(formatOffsetsJson(report)).partitions).toMatchObject({
    clicks: { 0: { saved: 0 } },
    orders: { 0: { saved: 1 } },
  });
});
