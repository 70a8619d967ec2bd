import { fileURLToPath } from 'node:url';

/**
 * A module as it was built, which finds its worker threads. Errors and classes are those of the build: a test that uses one
 * such module takes all it hands to it from here.
 */
export function built<Module>(path: string): Promise<Module> {
  return import(fileURLToPath(new URL(`../../dist/src/${path}.js`, import.meta.url))) as Promise<Module>;
}
