/**
 * All fault tests, whole where `npm test` runs a sample of them.
 *
 *     node scripts/testFault.mjs [VITEST OPTION...]      (npm run test:fault)
 *     node scripts/testFault.mjs --mutants [NAME...]     breaks the protocol in one way at a time: tests must notice
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const [first, ...rest] = process.argv.slice(2);

if (first === '--mutants') {
  const { killMutants } = await import('./mutants.mjs');
  process.exitCode = (await killMutants(ROOT, rest)) ? 0 : 1;
} else {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--project', 'fault', ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, KAFKALOAD_FAULTS: 'all' },
  });
  process.exitCode = status ?? 1;
}
