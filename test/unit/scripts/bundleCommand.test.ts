import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { COMMAND_BUNDLE } from '../../../scripts/bundleCommand.mjs';

interface Started {
  readonly loaded: Promise<{ readonly answer: (question: string) => string }>;
  readonly keepCode: () => void;
}

const BUNDLE = `(function (exports, require, module, urlOf, importOutside) {
exports.cli = async () => ({ answer: (question) => question + ' from ' + urlOf('src/cli.js').split('/').slice(-2).join('/') });
})`;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A bundle of one function, beside the loader that the build has made. */
function makeBundle(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-bundle-'));
  folders.push(folder);
  const start = COMMAND_BUNDLE.find((path) => path.endsWith('start.cjs')) as string;
  copyFileSync(start, join(folder, 'start.cjs'));
  writeFileSync(join(folder, 'kafkaload.cjs'), BUNDLE);
  return folder;
}

async function startIn(folder: string): Promise<Started & { readonly said: string }> {
  const { start } = createRequire(join(folder, 'start.cjs'))('./start.cjs') as { start: (name: string) => Started };
  const started = start('cli');
  return { ...started, said: (await started.loaded).answer('hello') };
}

const codeFiles = (folder: string): string[] => readdirSync(folder).filter((name) => name.includes('.code'));

test('the command keeps its code once, and starts from it', async () => {
  const folder = makeBundle();
  const first = await startIn(folder);
  first.keepCode();
  const [name = '', ...more] = codeFiles(folder);
  expect([first.said, name.includes('-cli-'), more]).toEqual(['hello from src/cli.js', true, []]);
  rmSync(join(folder, name));
  first.keepCode();
  expect(codeFiles(folder)).toEqual([]);
});

test.each([
  ['cut short', (code: Buffer) => code.subarray(0, 100)],
  ['empty', () => Buffer.alloc(0)],
  ['changed in its middle', (code: Buffer) => Buffer.from(code).fill(7, code.length >>> 1, (code.length >>> 1) + 3)],
  ['of something else', () => Buffer.alloc(5_000, 'code')],
])('code that is %s is not used, and is replaced', async (_what, damage) => {
  const folder = makeBundle();
  (await startIn(folder)).keepCode();
  const path = join(folder, codeFiles(folder)[0] ?? '');
  writeFileSync(path, damage(readFileSync(path)));
  const damaged = readFileSync(path);
  const next = await startIn(folder);
  expect(next.said).toBe('hello from src/cli.js');
  next.keepCode();
  expect(readFileSync(path).equals(damaged)).toBe(false);
});

test('where code cannot be kept, nothing is said and nothing is left', async () => {
  const folder = makeBundle();
  const started = await startIn(folder);
  rmSync(folder, { recursive: true });
  folders.splice(0);
  started.keepCode();
  expect(existsSync(folder)).toBe(false);
});

test('a version is told from the bundle, and licences lie beside it', () => {
  const dist = dirname(dirname(COMMAND_BUNDLE[0] as string));
  const { version } = JSON.parse(readFileSync(join(dist, '..', 'package.json'), 'utf8')) as { version: string };
  expect(execFileSync(process.execPath, [join(dist, 'src', 'cli.js'), '--version'], { encoding: 'utf8' }).trim()).toBe(
    version,
  );
  const texts = readFileSync(join(dist, 'bundle', 'LICENSES.txt'), 'utf8');
  for (const name of ['apache-arrow', 'commander', 'yaml', 'zod'])
    expect(texts).toMatch(new RegExp(`^${name} \\d`, 'm'));
});

test('the bundle is ASCII, as the loader takes it', () => {
  const bytes = readFileSync(COMMAND_BUNDLE.find((path) => path.endsWith('kafkaload.cjs')) as string);
  expect(bytes.findIndex((byte) => byte > 0x7f)).toBe(-1);
});
