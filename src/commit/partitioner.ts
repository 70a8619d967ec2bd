/**
 * Which partition of the offsets topic a key belongs to, as Kafka's Java producer has it by default (murmur2 of the key,
 * sign bit cleared, modulo), so that records of other tools with the same key meet ours in one partition.
 *
 * @see org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey
 */
export function partitionForKey(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitions;
}

/** 32-bit MurmurHash2 of the bytes with Kafka's seed, as a signed number. */
export function murmur2(bytes: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.byteLength & ~3;
  let hash = 0x9747b28c ^ bytes.byteLength;
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(view.getInt32(at, true), multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = bytes.byteLength - whole;
  for (let index = rest - 1; index >= 0; index--) hash ^= view.getUint8(whole + index) << (8 * index);
  if (rest > 0) hash = Math.imul(hash, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return (hash ^ (hash >>> 15)) | 0;
}
