import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from '../../../scripts/setupLock.mjs';

const MODULE = new URL('../../../scripts/setupLock.mjs', import.meta.url).href;
const HOST = hostname().replace(/[^A-Za-z0-9-]/g, '-');
const children: ChildProcess[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kafkaload-lock-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Another process that runs `code`, where `acquireLock` and `say` (a line on stdout) are known. */
function otherProcess(code: string): ChildProcess {
  const head = `import { acquireLock } from '${MODULE}'; const say = (text) => process.stdout.write(text + '\\n');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${head}\n${code}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

function sleeper(): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  return child;
}

function holders(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('lock.'));
}

test('lets one process in at a time', async () => {
  const log = join(folder, 'log');
  writeFileSync(log, '');
  const code = `
    import { appendFileSync } from 'node:fs';
    const lock = await acquireLock(${JSON.stringify(folder)}, () => {});
    appendFileSync(${JSON.stringify(log)}, 'begin ');
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(${JSON.stringify(log)}, 'end ');
    lock.release();`;
  const exits = [1, 2, 3].map(() => once(otherProcess(code), 'exit'));
  const own = await acquireLock(folder, () => {});
  appendFileSync(log, 'begin end ');
  own.release();
  await Promise.all(exits);
  expect(readFileSync(log, 'utf8')).toBe('begin end '.repeat(4));
  expect(holders()).toEqual([]);
});

test('passes over a process that is gone', async () => {
  const child = sleeper();
  child.kill('SIGKILL');
  await once(child, 'exit');
  writeFileSync(join(folder, `lock.${HOST}.${child.pid}.1.dead`), '');
  const waits: unknown[] = [];
  const lock = await acquireLock(folder, (other: unknown) => waits.push(other));
  expect(waits).toEqual([]);
  expect(holders()).toHaveLength(1);
  lock.release();
});

test.runIf(process.platform === 'linux')('tells a process id given out again from its first owner', async () => {
  writeFileSync(join(folder, `lock.${HOST}.${sleeper().pid}.1.reused`), '');
  const waits: unknown[] = [];
  const lock = await acquireLock(folder, (other: unknown) => waits.push(other));
  expect(waits).toEqual([]);
  lock.release();
});

test('waits for the npm of a set-up that was killed', async () => {
  const npm = sleeper();
  const code = `
    const lock = await acquireLock(${JSON.stringify(folder)}, () => {});
    lock.adopt(${npm.pid});
    say('held');
    setInterval(() => {}, 1000);`;
  const setUp = otherProcess(code);
  await once(setUp.stdout as NodeJS.ReadableStream, 'data');
  setUp.kill('SIGKILL');
  await once(setUp, 'exit');

  const waitedFor: number[] = [];
  const acquired = acquireLock(folder, ({ pid }: { pid: number }) => {
    waitedFor.push(pid);
    npm.kill('SIGKILL');
  });
  (await acquired).release();
  expect(waitedFor).toEqual([npm.pid]);
});
