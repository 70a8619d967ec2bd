/** What a manifest must be to be believed, as schemas: anybody may have written to one. */
import { z } from 'zod';
import { isPathBelow } from './manifest.ts';

export const count = z.int().nonnegative();
export const state = z.object({ bytes: count, crc32c: count });
export const place = { topic: z.string(), partition: count };
const range = z
  .object({ ...place, startOffset: count, endOffset: count })
  .refine(({ startOffset, endOffset }) => startOffset <= endOffset);
/** Below the root: a manifest that names other files is none of ours. */
export const path = z.string().refine(isPathBelow);
const column = z.object({ name: z.string(), type: z.enum(['LONG', 'INT', 'STRING']), index: count }).nullable();

export const file = z.object({ path, rows: count, ...state.shape, ranges: z.array(range) });

/** What manifests have in common with the entries of a stream. */
export const WRITTEN = {
  version: z.literal(1),
  config: z.string(),
  run: z.string(),
  createdAt: z.string(),
  writeMode: z.enum(['Append', 'Overwrite']),
  target: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('folder'), path: z.literal('.') }),
    z.object({ kind: z.literal('file'), path, old: state.nullable() }),
  ]),
  topicIds: z.record(z.string(), z.string()),
  content: z
    .object({ output: z.looseObject({ format: z.string() }), topic: column, partition: column, offset: column })
    .nullable(),
  ranges: z.array(range),
  gaps: z.array(
    z.object({
      ...{ ...place, control: count, aborted: count, compacted: count, deleted: count, lost: count },
      // Runs of older versions had none.
      bad: count.default(0),
    }),
  ),
};

export const MANIFEST = z.object({
  ...WRITTEN,
  committed: z.boolean(),
  previousRun: z.object({ run: z.string(), manifestCrc32c: count, root: z.string().nullable() }).nullable(),
  offsets: z.array(z.object({ ...place, previous: count.nullable(), next: count })),
  files: z.array(file),
  replaced: z.array(path),
});
