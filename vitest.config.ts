import { defineConfig } from 'vitest/config';

/**
 * Three projects. Unit tests need no server. Integration and fault tests share one broker that the global set-up
 * provides; their files run one after another, since each starts processes that use every core.
 */
const withServers = {
  globalSetup: ['test/helpers/globalSetup.ts'],
  fileParallelism: false,
  // Deadlines of the tests themselves are shorter and say what they waited for; these only catch a hang.
  testTimeout: 600_000,
  hookTimeout: 600_000,
  teardownTimeout: 60_000,
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
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
        test: {
          ...withServers,
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/issues/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...withServers,
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
