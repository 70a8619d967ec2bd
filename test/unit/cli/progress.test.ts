import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/coordinator/log.ts';
import { createPlainProgress, createProgress } from '../../../src/coordinator/progress.ts';

/** A terminal that remembers what was written to it. */
function terminal() {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 120, rows: 20 });
  // What cli-progress asks of a terminal beside `write`.
  Object.assign(stream, { cursorTo: () => true, moveCursor: () => true, clearLine: () => true });
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  return { stream, text: () => chunks.join('') };
}

describe('progress', () => {
  it('is a plain line every so often where no terminal is, until it stops', async () => {
    const lines: string[] = [];
    const progress = createPlainProgress({ write: (text) => lines.push(text) }, 20);
    progress.start(400, 1024 ** 2);
    progress.advance({ rows: 1_000, bytes: 524_288, offsets: 50 });
    progress.advance({ rows: 500, bytes: 0, offsets: 50 });
    while (lines.length < 2) await sleep(5);
    progress.stop();
    const said = lines.length;
    await sleep(60);
    expect(lines.length).toBe(said);
    expect(lines[0]).toMatch(
      /^25% \| 1,500 rows \| 512 KiB of about 1 MiB \| [\d.]+ MB\/s \| [\d,]+ rows\/s \| ETA \ds\n$/,
    );
  });

  it('is one bar on a terminal', async () => {
    const { stream, text } = terminal();
    const progress = await createProgress(stream);
    progress.stop();
    progress.start(100, 0);
    progress.advance({ rows: 50, bytes: 1_000, offsets: 50 });
    while (!text().includes('50%')) await sleep(10);
    progress.stop();
    progress.stop();
    expect(text()).toMatch(/\[={12} {12}\] 50% \| 50 rows \| 1000 B \| [\d.]+ MB\/s \| [\d,]+ rows\/s \| ETA/);
  });
});

describe('log', () => {
  it('writes JSON lines where no terminal is, debug with --verbose only', async () => {
    const lines: string[] = [];
    const stderr = { write: (text: string) => lines.push(text) };
    createLog({ verbose: false, stderr }).debug('hidden');
    const log = createLog({ verbose: true, stderr });
    log.debug('seen', { partition: 3 });
    log.warn('recovered');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 20, msg: 'seen', partition: 3 },
      { level: 40, msg: 'recovered' },
    ]);
  });

  it('writes lines for people on a terminal, over the bar', async () => {
    let text = '';
    const log = createLog({ verbose: false, stderr: { isTTY: true, write: (line) => (text += line) } });
    log.warn('leader moved', { partition: 3 });
    const plain = stripVTControlCharacters(text);
    expect(text.startsWith('\r\u001b[K')).toBe(true);
    expect(plain).toMatch(/^\r\[\d\d:\d\d:\d\d\] WARN: leader moved \{"partition":3\}\n$/);
  });
});
