import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Changes that scripts/mutants.mjs wants in the sources that tests load. */
const changes = JSON.parse(process.env.KAFKALOAD_TEST_MUTANT || '[]') as readonly Change[];
const mutant: Plugin = {
  name: 'mutant',
  enforce: 'pre',
  transform: (code, id) => {
    const own = changes.filter(({ file }) => id === fileURLToPath(new URL(file, import.meta.url)));
    return own.reduce((text, { from, to }) => text.replace(from, () => to), code);
  },
};

/** Files that take minutes, the longest first. In a fresh clone vitest knows no durations and would begin one of these last, alone. */
const LONG = [
  ...[
    'secureConnections',
    'brokers',
    'offloadCodecs',
    'offsetsCommand',
    'anyToAny',
    'offloadRuns',
    'streamSinks',
    'permissions',
    'streamTableProcesses',
  ],
  ...[
    'streamGroup',
    'crashSteps',
    'ioFaultsCommand',
    'sleepers',
    'proxy',
    'streamCrash',
    'commitCrash',
    'loadCrash',
    'crashOthers',
    'streamOutage',
    'streamAsleep',
    'leadership',
    'offsetsByHand',
    'deadLetters',
    'twoAtOnce',
  ],
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.indexOf(basename(moduleId, '.test.ts'));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/**
 * Three projects. Unit tests need no server. Integration and fault tests share one broker that the global set-up
 * provides; three of their files run at a time, four where all faults are tried: each starts processes that use every core,
 * and often waits for time to pass.
 */
const withServers = {
  globalSetup: ['test/helpers/globalSetup.ts'],
  maxWorkers: process.env.KAFKALOAD_FAULTS === 'all' ? 4 : 3,
  // Deadlines of the tests themselves are shorter and say what they waited for; these only catch a hang.
  testTimeout: 600_000,
  hookTimeout: 600_000,
  teardownTimeout: 60_000,
  pool: 'forks' as const,
};

/** `npm run soak` alone: it takes as long as it is told. */
const soak = {
  test: { ...withServers, name: 'soak', include: ['test/soak/**/*.test.ts'], sequence: { groupOrder: 3 } },
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/model/**/*.test.ts'],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        plugins: [mutant],
        test: {
          ...withServers,
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/issues/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        plugins: [mutant],
        test: {
          ...withServers,
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
      ...(process.env.KAFKALOAD_SOAK_MINUTES ? [soak] : []),
    ],
  },
});
