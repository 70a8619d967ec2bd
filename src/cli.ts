#!/usr/bin/env node
/** Where the process begins, until the build puts another in its place that starts the same from one file (scripts/bundleCommand.mjs). */
import { runCommand } from './command.ts';

await runCommand();
