/** Texts of the licences of what bundles contain. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LICENSE = /^(licen[cs]e|notice|copyright)/i;

/** @param modules Paths as the bundler names them. @returns Folders of the packages they belong to. */
export function packagesOf(modules) {
  return [...new Set(modules.flatMap(packageOf))];
}

/** The bundler names modules by their real paths. */
function packageOf(modulePath) {
  const modules = realpathSync(join(ROOT, 'node_modules'));
  if (!modulePath.startsWith(modules + sep)) return [];
  const [first, second] = relative(modules, modulePath).split(sep);
  return [join(modules, first.startsWith('@') ? join(first, second) : first)];
}

export function gatherLicenses(modules) {
  return packagesOf(modules).map(licensesOf).join('\n');
}

/** `NAME VERSION`. */
export function titleOf(path) {
  const { name, version } = readManifest(path);
  return `${name} ${version}`;
}

function licensesOf(path) {
  const { license } = readManifest(path);
  const texts = readdirSync(path)
    .filter((file) => LICENSE.test(file))
    .sort()
    .map((file) => readFileSync(join(path, file), 'utf8').trim());
  return `${'='.repeat(80)}\n${titleOf(path)} (${license})\n${'='.repeat(80)}\n\n${texts.join('\n\n')}\n`;
}

function readManifest(path) {
  return JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
}
