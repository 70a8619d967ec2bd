import { type ErrorContext, OffloadError } from '../errors.ts';

/** Which record batch is being decoded: where it stands in the log. */
export interface BatchPlace {
  readonly topic: string;
  readonly partition: number;
  /** Base offset of the batch. */
  readonly offset: number;
}

/** A batch that breaks the format. `reason` shows both values of the check that failed. */
export function batchCorrupt(
  place: BatchPlace,
  reason: string,
  details: ErrorContext = {},
  cause?: unknown,
): OffloadError {
  return new OffloadError(
    'BATCH_CORRUPT',
    `cannot decode the record batch at offset ${place.offset} of ${place.topic}/${place.partition}: ${reason}; ` +
      'run again, and if it stays, the log is damaged there: restore that replica, or start behind this batch',
    { context: { ...contextOf(place), ...details }, cause },
  );
}

/** A batch that would inflate to more than `maxBatchBytes`; known before it is inflated. */
export function batchTooLarge(
  place: BatchPlace,
  codec: string,
  batchBytes: number,
  inflatedBytes: number,
  maxBatchBytes: number,
): OffloadError {
  return new OffloadError(
    'BATCH_TOO_LARGE',
    `cannot decode the record batch at offset ${place.offset} of ${place.topic}/${place.partition}: its ${batchBytes} bytes ` +
      `(${codec}) may inflate to ${inflatedBytes}, and maxBatchBytes allows ${maxBatchBytes}; ` +
      'raise maxBatchBytes if the batch is genuine',
    { context: { ...contextOf(place), codec, batchBytes, inflatedBytes, maxBatchBytes } },
  );
}

export function formatUnsupported(place: BatchPlace, magic: number): OffloadError {
  const age = magic < 2 ? 'a message format older than Kafka 0.11' : 'a message format newer than this version knows';
  return new OffloadError(
    'FORMAT_UNSUPPORTED',
    `cannot decode offset ${place.offset} of ${place.topic}/${place.partition}: it is stored with magic ${magic}, ${age}, ` +
      'and only magic 2 is read; copy the topic with a current client, or start behind those messages',
    { context: { ...contextOf(place), magic } },
  );
}

function contextOf(place: BatchPlace): ErrorContext {
  return { topic: place.topic, partition: place.partition, offset: place.offset };
}
