// biome-ignore-all lint/suspicious/noTemplateCurlyInString: parameters of the shell
/** The scripts as their shells run them; a shell that is not installed is left out. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand, temporaryFolder } from '../helpers/command.ts';

const COMMAND = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
const folder = await temporaryFolder();
afterAll(() => folder.remove());

beforeAll(async () => {
  await mkdir(join(folder.path, 'bin'));
  const command = join(folder.path, 'bin/kafkaload');
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${COMMAND}' "$@"\n`);
  await chmod(command, 0o755);
  const topics = { orders: { topicName: 'o' }, 'odd-name': { topicName: 'p' } };
  await writeFile(join(folder.path, 'kafkaload.json'), JSON.stringify({ kafka: { topics } }));
});

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0;
}

const env = () => ({ ...process.env, PATH: `${join(folder.path, 'bin')}:${process.env.PATH}` });

/** What bash would offer for a line with the cursor at its end: the words as its own line editor divides them. */
function completeInBash(words: readonly string[]): string[] {
  const script =
    'source <(kafkaload completion bash) || exit 9\n' +
    'COMP_WORDS=(kafkaload "$@"); COMP_CWORD=$#\n' +
    '_kafkaload kafkaload\n' +
    'printf "%s\\n" "${#COMPREPLY[@]}" "${COMPREPLY[@]}"\n';
  const output = execFileSync('bash', ['--noprofile', '--norc', '-c', script, 'bash', ...words], {
    cwd: folder.path,
    env: env(),
    encoding: 'utf8',
  });
  return output
    .split('\n')
    .slice(1)
    .filter((line) => line !== '');
}

describe.runIf(isInstalled('bash'))('in bash', () => {
  it.each([
    [['o'], ['offsets']],
    [
      ['offsets', 're'],
      ['reset', 'recover'],
    ],
    [['--write-f'], ['--write-format']],
    [['--format', '=', 'pa'], ['parquet']],
    [
      ['--config', 'o'],
      ['orders', 'odd-name'],
    ],
    [['--path', ''], []],
  ])('completes %j', (words, expected) => {
    expect(completeInBash(words)).toEqual(expected);
  });

  it('never runs what stands on the line', () => {
    const words = ['--config', '$(touch hacked)', '`touch hacked`', ';touch hacked;', "'", '--format', 'js'];
    expect(completeInBash(words)).toEqual(['json']);
    expect(spawnSync('ls', [join(folder.path, 'hacked')]).status).not.toBe(0);
  });

  it('is registered for the command', () => {
    const script = 'source <(kafkaload completion bash); complete -p kafkaload';
    const registered = execFileSync('bash', ['--norc', '-c', script], { env: env(), encoding: 'utf8' });
    expect(registered.trim()).toBe('complete -F _kafkaload kafkaload');
  });
});

describe.each(['zsh', 'fish'])('in %s', (shell) => {
  it.runIf(isInstalled(shell))('has no wrong syntax', async () => {
    const { stdout } = await runCommand(['completion', shell], { cwd: folder.path });
    const file = join(folder.path, `script.${shell}`);
    await writeFile(file, stdout);
    execFileSync(shell, ['-n', file]);
  });

  it('gets a script', async () => {
    const { code, stdout } = await runCommand(['completion', shell], { cwd: folder.path });
    expect([code, stdout.includes('completion --candidates')]).toEqual([0, true]);
  });
});
