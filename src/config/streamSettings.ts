import { OffloadError } from '../errors.ts';
import type { StreamSettings } from './job.ts';
import { fileOptions, type JobContext } from './jobContext.ts';
import type { JobSource } from './jobParts.ts';
import type { Properties } from './properties.ts';
import { readGroup } from './streamGroup.ts';
import { type GivenText, readFileLimits, readStreamOptions, type STREAM_WRITER_OPTIONS } from './streamOptions.ts';

/**
 * How a job keeps running.
 *
 * @param source With the properties it was resolved from; null for files.
 * @throws OffloadError USAGE naming the option; CONFIG_INVALID naming the key.
 */
export function resolveStream(
  context: JobContext,
  source: JobSource,
  properties: Properties | null,
): { readonly settings: StreamSettings; readonly notes: readonly string[] } {
  const { options, named, reader } = context;
  const { sink } = context.route;
  if (source.kind === 'files' && sink.kind !== 'topic') {
    throw usage(
      '--stream reads a topic, or loads new files into a topic; name the topic to read by --config, or the one to write by --write-config',
    );
  }
  if (sink.kind === 'console' && options.report?.toLowerCase() === 'json') {
    throw usage('--report json has no place with --stream to the console, whose rows go to stdout; leave it out');
  }
  checkPlaceStays(context);
  const limits =
    sink.kind === 'files'
      ? readFileLimits(limitOf(context, 'maxFileBytes'), limitOf(context, 'maxFileAge'))
      : readFileLimits(null, null);
  const common = { ...readStreamOptions(options), ...limits };
  if (source.kind === 'files' || properties === null) {
    return { settings: { ...common, group: null, maxOffsetsPerTrigger: null }, notes: [] };
  }
  if (source.endingOffsets.kind !== 'latest') {
    throw new OffloadError(
      'CONFIG_INVALID',
      'endingOffsets has no place with --stream, which has no end; leave it out',
    );
  }
  const where = named === null ? reader.where : `${named.where}.accessOptions`;
  const notes =
    source.maxRead === null ? [] : [`maxRead has no effect with --stream; maxOffsetsPerTrigger bounds a micro-batch`];
  return { settings: { ...common, ...readGroup(properties, where) }, notes };
}

/** A folder keeps the chain of its group: in another one tomorrow, what was written today would be written again. */
function checkPlaceStays({ route, connection }: JobContext): void {
  const { sink } = route;
  if (sink.kind !== 'files') return;
  const basePath = connection?.type === 'FS' ? connection.basePath : null;
  const path = [sink.path, basePath].find((text) => text?.includes('{{date'));
  if (path === undefined || path === null) return;
  throw usage(
    `${sink.where} ${path} names another folder each day, and a stream keeps its place in its folder; leave {{date}} out, ` +
      'and add --streaming-partition-by date(timestamp)',
  );
}

/** From the options of the writer, else from the entry that is read. */
function limitOf(context: JobContext, key: (typeof STREAM_WRITER_OPTIONS)[number]): GivenText | null {
  const { named } = context;
  const option = fileOptions(context, 'sink')[key];
  if (option !== undefined) return { where: `--write-options ${key}`, text: option };
  const value = named?.entry[key];
  return named && value ? { where: `${named.where}.${key}`, text: value } : null;
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
