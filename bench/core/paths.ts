import { join } from 'node:path';

/** The checkout: benches run compiled, from `dist/bench/core`. */
export const ROOT = join(import.meta.dirname, '..', '..', '..');
export const COMMAND = join(ROOT, 'dist', 'src', 'cli.js');
export const RESULTS_FOLDER = join(ROOT, 'bench', 'results');
export const REPORT_FILE = join(ROOT, 'bench', 'report.html');
