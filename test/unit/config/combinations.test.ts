import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { CliOptions } from '../../../src/config/options.ts';
import { resolveJob } from '../../../src/config/resolveJob.ts';
import { OffloadError } from '../../../src/errors.ts';
import { configOf, makeWorkspace } from './workspace.ts';

const { environment, write } = await makeWorkspace();
await write(
  'kafkaload.yml',
  JSON.stringify({
    ...JSON.parse(
      configOf({
        topics: {
          clicks: { topicName: 'clicks', writeFormat: 'json' },
          shown: { topicName: 'shown', writeFormat: 'console' },
          pattern: { accessOptions: { subscribePattern: 'c.*' } },
        },
      }),
    ),
    connections: {
      cluster: { type: 'KAFKA', options: { bootstrapServers: 'x:1' } },
      disk: { type: 'FS', format: 'csv', options: { path: 'base' } },
      server: { type: 'JDBC', options: { url: 'jdbc:postgresql://x/d', user: 'u' } },
    },
    block: { header: 'true' },
  }),
);

/** Words that belong together often enough for every branch to be met. */
const VALUES = {
  config: ['orders', 'shown', 'pattern', 'nobody'],
  connectionRef: ['cluster', 'disk', 'server'],
  format: ['json', 'csv', 'kafka'],
  path: ['in', 'in/*.csv', 'out'],
  options: ['config=block', 'config=clicks', 'subscribe=a', 'header=true', 'x'],
  maxRecords: ['5'],
  startingOffsets: ['earliest', '{"0":1}'],
  endingOffsets: ['latest', '2026-01-01'],
  noCommit: [true],
  writeConfig: ['clicks', 'orders'],
  writePath: ['out', 'in/out'],
  writeFormat: ['parquet', 'csv', 'kafka', 'console'],
  writeMode: ['Append', 'Overwrite'],
  writeOptions: ['config=block', 'config=clicks', 'topic=t', 'compression=zstd', 'numRows=3', 'database=x.db'],
  writeCoalesce: ['1', '3'],
  reload: [true],
  takeOver: [true],
  stream: [true],
  streamingTrigger: ['Once', 'continuous', 'never'],
  streamingTriggerOption: ['1 minute', 'x'],
  streamingToTable: ['orders'],
  streamingPartitionBy: ['a'],
  uiPort: ['0', 'x'],
} satisfies { readonly [Name in keyof CliOptions]: readonly unknown[] };

/** With one of them and not the others, nearly everything is refused. */
const STREAM_OPTION = /^stream|^uiPort/;

/** Each option is absent most of the time: of two at random nearly all are refused. */
const options = fc.record(
  Object.fromEntries(
    Object.entries(VALUES).map(([name, values]) => [
      name,
      fc.oneof(
        { weight: STREAM_OPTION.test(name) ? 60 : 4, arbitrary: fc.constant(undefined) },
        ...values.map((value) => fc.constant(value)),
      ),
    ]),
  ),
);

it('makes a job of any combination of options, or refuses it in one line with exit status 2', async () => {
  const routes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(options, async (given) => {
      const cli = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as CliOptions;
      try {
        const { source, sink, ...job } = await resolveJob(cli, environment());
        routes.add(`${source.kind} to ${sink.kind}`);
        expect(job.config).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
        if (source.kind === 'topic') expect(source.commit && cli.noCommit).not.toBe(true);
        if (sink.kind !== 'files') expect(cli.writeCoalesce).toBeUndefined();
      } catch (error) {
        if (!(error instanceof OffloadError)) throw error;
        expect([error.exitStatus, error.message]).toEqual([2, expect.stringMatching(/^[^\n]{10,400}$/)]);
      }
    }),
    { numRuns: 1_000, seed: 4 },
  );
  const [topic, files] = [
    ['topic to files', 'topic to topic', 'topic to console'],
    ['files to files', 'files to topic', 'files to console'],
  ];
  expect([...routes].sort((a, b) => a.localeCompare(b))).toEqual(
    [...topic, ...files].sort((a, b) => a.localeCompare(b)),
  );
});
