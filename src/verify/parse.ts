/** Manifests and intents as they are found: anybody may have written to them, so nothing in them is taken for granted. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../commit/shapes.ts';
import type { Manifest } from '../sinks/manifest.ts';
import { MANIFEST, state } from '../sinks/manifestShape.ts';

/** Null for anything else than a manifest. */
export function parseManifest(bytes: Buffer): Manifest | null {
  const result = MANIFEST.safeParse(parseJson(bytes.toString('utf8')));
  return result.success ? (result.data as Manifest) : null;
}

/** What an intent says of the files that will be there; paths are absolute. */
export interface StagedIntent {
  readonly config: string;
  readonly run: string;
  readonly files: readonly { readonly targetPath: string; readonly bytes: number; readonly crc32c: number }[];
  readonly replaced: readonly string[];
}

const absolute = z.string().refine((text) => isAbsolute(text));
const INTENT = z.object({
  version: z.literal(1),
  config: z.string(),
  run: z.string(),
  files: z.array(z.object({ targetPath: absolute, ...state.shape })),
  replaced: z.array(absolute),
});

/** Null for anything else. */
export function parseStagedIntent(bytes: Buffer): StagedIntent | null {
  const result = INTENT.safeParse(parseJson(bytes.toString('utf8')));
  return result.success ? result.data : null;
}
