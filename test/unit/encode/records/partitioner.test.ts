import { expect, test } from 'vitest';
import { murmur2, partitionForKey } from '../../../../src/encode/records/partitioner.ts';

/** Values of org.apache.kafka.common.utils.UtilsTest. */
test('keys go to the partitions Kafka for Java sends them to', () => {
  const hashes = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [text, hash] of Object.entries(hashes)) expect(murmur2(Buffer.from(text)), text).toBe(hash);
  expect(partitionForKey('foobar', 7)).toBe((-790332482 & 0x7fffffff) % 7);
});
