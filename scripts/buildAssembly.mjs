/**
 * Compiles each `assembly/index.ts` below `src/` to WebAssembly, beside the JavaScript of its folder in `dist/`.
 *
 *     node scripts/buildAssembly.mjs        (part of npm run build)
 */
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const ENTRY = join('assembly', 'index.ts');
/** Without a heap and without checks of its own: every module is told where to work, and checks what it reads. */
const OPTIONS = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd'];

/** @throws Error with what the compiler says. */
export async function buildAssembly() {
  const { default: asc } = await import('assemblyscript/asc');
  const found = readdirSync(join(ROOT, 'src'), { recursive: true }).filter((path) => path.endsWith(ENTRY));
  for (const path of found.sort()) {
    const entry = join('src', path);
    const output = join('dist', 'src', path.replace(/\.ts$/, '.wasm'));
    const { error, stdout, stderr } = await asc.main([entry, '-o', output, '--baseDir', ROOT, ...OPTIONS]);
    if (error) throw new Error(`${relative(ROOT, entry)}: ${error.message}\n${stdout}${stderr}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildAssembly();
