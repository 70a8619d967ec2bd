import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { mustRun, runProgram, say } from './cache.ts';

/** The smallest first: it has no window at all. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
const PACKAGES = ['chromium-headless-shell', 'fonts-dejavu-core'];

let found: Promise<string> | undefined;

/** Path of a Chromium: CHROME_PATH, one that is installed, else Debian's, installed on first use (about 65 MB). */
export function chromiumPath(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  const named = process.env.CHROME_PATH;
  if (named) return named;
  const installed = installedPath();
  if (installed !== undefined) return installed;
  say(`installing ${PACKAGES.join(' and ')} with apt-get for the tests of the page (about 65 MB, once)`);
  const [program, ...words] = await packageManager();
  // Another process may be installing something for its tests at the same time.
  const wait = ['-o', 'DPkg::Lock::Timeout=300', '-q', '-y'];
  await mustRun(program, [...words, ...wait, 'update']);
  await mustRun(program, [...words, ...wait, 'install', '--no-install-recommends', ...PACKAGES]);
  const path = installedPath();
  if (path === undefined) throw new Error(`apt-get installed no ${NAMES[0]}`);
  return path;
}

function installedPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** apt-get as root, or by a sudo that asks for no password. */
async function packageManager(): Promise<[string, ...string[]]> {
  if (process.getuid?.() === 0) return ['apt-get'];
  const sudo = await runProgram('sudo', ['-n', 'true']).catch(() => null);
  if (sudo?.code === 0) return ['sudo', '-n', 'apt-get'];
  throw new Error('the tests of the page need a Chromium: install one, or name it in CHROME_PATH');
}
