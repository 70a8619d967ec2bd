/**
 * A member of a group in a process of its own, which can be killed and stopped. Arguments: `host:port,...`, group, topic, session
 * time-out in ms. Writes a line of JSON for each call of its listener, and for a commit that it makes whenever it goes on
 * after a stop.
 */
import { Cluster } from '../../dist/src/kafka/cluster.js';
import { openGroupMember } from '../../dist/src/stream/groupMember.js';

const [servers = '', groupId = '', topic = '', sessionTimeoutMs = '3000'] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const bootstrap = servers.split(',').map((address) => {
  const [host, port] = address.split(':');
  return { host, port: Number(port) };
});
const cluster = new Cluster({
  ...{
    bootstrap,
    clientId: 'kafkaload-tests',
    tls: null,
    sasl: null,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
  },
  ...{ deadlineMs: 60_000, retryBackoffMs: 100, retryBackoffMaxMs: 1_000 },
});
const tell = (kind) => async (partitions) => say({ kind, partitions: partitions.map(({ partition }) => partition) });
const member = await openGroupMember({
  cluster,
  settings: {
    ...{ groupId, instanceId: null, sessionTimeoutMs: Number(sessionTimeoutMs), heartbeatIntervalMs: 200 },
    rebalanceTimeoutMs: 30_000,
  },
  topics: async () => [await cluster.findTopic(topic)],
  listener: { assigned: tell('assigned'), revoked: tell('revoked'), lost: tell('lost') },
  signal: new AbortController().signal,
});
process.on('SIGCONT', () => {
  member.commit([{ topic, partition: 0, offset: 666 }]).then(
    () => say({ kind: 'committed' }),
    ({ code }) => say({ kind: 'refused', code }),
  );
});
