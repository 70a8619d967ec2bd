import type { TransformSettings } from '../transform/batchTransform.ts';
import { readBadRecordPolicy } from './badRecords.ts';
import { resolveColumns } from './columns.ts';
import { DEFAULTS } from './defaults.ts';
import type { Deserializers } from './deserializers.ts';
import type { TopicSource } from './job.ts';
import { parseOffsetsOption, readOffsetSpec } from './offsetSpecs.ts';
import type { CliOptions } from './options.ts';
import type { Properties, Property } from './properties.ts';
import { readBoolean, readCount } from './propertyValues.ts';
import { parseCount } from './runOptions.ts';
import { type NamedEntry, reachKafka } from './topicEntry.ts';
import { selectTopics } from './topicSelection.ts';

export interface ResolvedTopicSource {
  readonly source: Omit<TopicSource, 'commit'>;
  /** What becomes of its rows; null: nothing. */
  readonly transform: TransformSettings | null;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * The topics a job reads, from what the entry, its properties and the options of a range say.
 *
 * @param named Null: `--format kafka` without `--config`, where nothing is saved.
 * @param serverWhere Where `bootstrap.servers` is missed.
 * @throws OffloadError CONFIG_INVALID and FIELD_INVALID naming the key; USAGE naming the option.
 */
export async function resolveTopicSource(
  properties: Properties,
  named: NamedEntry | null,
  options: Pick<CliOptions, 'transform' | 'maxRecords' | 'startingOffsets' | 'endingOffsets'>,
  place: {
    readonly cwd: string;
    readonly deserializers: Deserializers;
    /** What is read where neither `subscribe` nor its like is set. */
    readonly topicName: Property | null;
    readonly serverWhere?: string;
    /** Rows are written to a topic: without `fields` keys and values stay the bytes they are. */
    readonly forTopic?: boolean;
    /** Properties that are read elsewhere, for this job alone. */
    readonly alsoRead?: readonly string[];
  },
): Promise<ResolvedTopicSource> {
  const { selection, warnings } = selectTopics(
    properties,
    place.topicName,
    named === null
      ? '--format kafka reads a topic, and none is named; set subscribe, subscribePattern or assign in --options'
      : `${named.where}.topicName is missing`,
  );
  const { settings, notes } = await reachKafka(properties, {
    cwd: place.cwd,
    ...(place.serverWhere !== undefined && { serverWhere: place.serverWhere }),
    side: 'source',
    ...(place.alsoRead && { alsoRead: place.alsoRead }),
    maxBatchBytes: named?.entry.maxBatchBytes,
  });
  const { startingOffsets, endingOffsets, transform } = options;
  const invalidUtf8 = named?.entry.invalidUtf8 ?? DEFAULTS.invalidUtf8;
  const columns = await resolveColumns({
    ...{ named, transform, invalidUtf8, cwd: place.cwd, deserializers: place.deserializers },
    forTopic: place.forTopic ?? false,
    includeHeaders: readBoolean(properties.get('includeHeaders'), false),
  });
  return {
    source: {
      kind: 'topic',
      selection,
      fields: columns.fields,
      invalidUtf8,
      onBadRecord: readBadRecordPolicy(named),
      maxRead: resolveMaxRead(named, options),
      startingOffsets:
        startingOffsets === undefined
          ? readOffsetSpec(properties, 'starting', selection)
          : parseOffsetsOption(startingOffsets, '--starting-offsets', selection),
      endingOffsets:
        endingOffsets === undefined
          ? readOffsetSpec(properties, 'ending', selection)
          : parseOffsetsOption(endingOffsets, '--ending-offsets', selection),
      startIsAsked: startingOffsets !== undefined,
      failOnDataLoss: readBoolean(properties.get('failOnDataLoss'), true),
      minPartitions: readCount(properties.get('minPartitions')),
      kafka: settings,
    },
    transform: columns.transform,
    notes: [...notes, ...columns.notes],
    warnings,
  };
}

/** The smaller of `--max-records` and `maxRead`. */
function resolveMaxRead(named: NamedEntry | null, { maxRecords }: Pick<CliOptions, 'maxRecords'>): number | null {
  const asked = parseCount(maxRecords, '--max-records % is no number of messages; write 1 or more');
  const maxRead = named?.entry.maxRead && named.entry.maxRead > 0 ? named.entry.maxRead : null;
  return asked === null || maxRead === null ? (asked ?? maxRead) : Math.min(asked, maxRead);
}
