#!/usr/bin/env node
// The same launcher in a checkout, where the build may be missing, and in the published package, where it never is.
import { existsSync } from 'node:fs';

const cli = new URL('../dist/src/cli.js', import.meta.url);
const modules = new URL('../node_modules', import.meta.url);
const isCheckout = existsSync(new URL('../tsconfig.json', import.meta.url));

if (!existsSync(cli) || (isCheckout && !existsSync(modules))) {
  process.stderr.write('kafkaload is not built yet in this checkout: run `npm run setup`, then this command again\n');
  process.exitCode = 1;
} else {
  await import(cli.href);
}
