/** Modules of the user: how they are named. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const MODULE_NAME = /\.[mc]?js$/i;

/** Whether a text names a module; SQL and classes of the JVM do not end so. */
export function isModuleName(text: string): boolean {
  return /^file:/i.test(text) || (MODULE_NAME.test(text) && !/^\s*(?:select|with|from)\s/i.test(text));
}

/**
 * The `file:` URL of a module; whether it is there is seen when it is loaded.
 *
 * @param cwd Absolute: relative names are taken from here.
 */
export function moduleUrl(name: string, cwd: string): string {
  return /^file:/i.test(name) ? name : pathToFileURL(resolve(cwd, name)).href;
}
