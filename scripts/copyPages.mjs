/**
 * Copies what browsers load from `src/` to `dist/`: the files of folders called `page`, which no compiler changes.
 *
 *     node scripts/copyPages.mjs        (part of npm run build)
 */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPageFile } from './outputs.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

export function copyPages() {
  const paths = readdirSync(join(ROOT, 'src'), { recursive: true }).map((path) => join('src', path));
  for (const path of paths.filter(isPageFile)) {
    const output = join(ROOT, 'dist', path);
    mkdirSync(dirname(output), { recursive: true });
    copyFileSync(join(ROOT, path), output);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) copyPages();
