/** Manifests and intents as they are found: anybody may have written to them, so nothing in them is taken for granted. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../commit/shapes.ts';
import { isPathBelow, type Manifest } from '../sinks/manifest.ts';

const count = z.int().nonnegative();
const state = z.object({ bytes: count, crc32c: count });
const place = { topic: z.string(), partition: count };
const range = z
  .object({ ...place, startOffset: count, endOffset: count })
  .refine(({ startOffset, endOffset }) => startOffset <= endOffset);
/** Below the root: a manifest that names other files is none of ours. */
const path = z.string().refine(isPathBelow);
const column = z.object({ name: z.string(), type: z.enum(['LONG', 'INT', 'STRING']), index: count }).nullable();

const MANIFEST = z.object({
  version: z.literal(1),
  config: z.string(),
  run: z.string(),
  createdAt: z.string(),
  committed: z.boolean(),
  writeMode: z.enum(['Append', 'Overwrite']),
  target: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('folder'), path: z.literal('.') }),
    z.object({ kind: z.literal('file'), path, old: state.nullable() }),
  ]),
  previousRun: z.object({ run: z.string(), manifestCrc32c: count, root: z.string().nullable() }).nullable(),
  topicIds: z.record(z.string(), z.string()),
  offsets: z.array(z.object({ ...place, previous: count.nullable(), next: count })),
  content: z
    .object({ output: z.looseObject({ format: z.string() }), topic: column, partition: column, offset: column })
    .nullable(),
  files: z.array(z.object({ path, rows: count, ...state.shape, ranges: z.array(range) })),
  ranges: z.array(range),
  gaps: z.array(z.object({ ...place, control: count, aborted: count, compacted: count, deleted: count, lost: count })),
  replaced: z.array(path),
});

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
