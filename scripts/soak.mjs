/**
 * Produces all the time and offloads again and again, with kills at random moments and at steps, then counts every row:
 *
 *     npm run soak                        a minute
 *     npm run soak -- --minutes 10
 *
 * Or a stream that keeps running while messages come at a rate, whose memory is watched:
 *
 *     npm run soak -- --stream --minutes 15 --rate 50000
 *
 * The work is in test/soak/, which uses what the tests use: their broker, or that of KAFKA_BOOTSTRAP_SERVERS.
 */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setUp } from './setup.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

async function soak() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      stream: { type: 'boolean', default: false },
      rate: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new TypeError(`--minutes ${values.minutes} is no number of minutes`);
  const rate = Number(values.rate ?? 50_000);
  if (!(rate > 0)) throw new TypeError(`--rate ${values.rate} is no number of messages a second`);
  if (values.rate !== undefined && !values.stream) throw new TypeError('--rate goes with --stream');
  await setUp();
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const file = values.stream ? 'test/soak/stream.test.ts' : 'test/soak/soak.test.ts';
  const child = spawn(process.execPath, [vitest, 'run', '--project', 'soak', file], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, KAFKALOAD_SOAK_MINUTES: String(minutes), KAFKALOAD_SOAK_RATE: String(rate) },
  });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

soak().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(`soak: ${error.message}`);
    process.exitCode = 2;
  },
);
