/** Moves leadership of partitions: their leaders are taken out of the replicas, as an operator empties a broker. */
import { Admin } from '@platformatic/kafka';
import type { ConnectionSettings } from '../../src/config/kafkaSettings.ts';
import { BrokerConnection } from '../../src/kafka/connection.ts';
import type { Api } from '../../src/kafka/protocol.ts';
import { WireWriter } from '../../src/kafka/wire.ts';
import { waitFor } from './wait.ts';

interface Reassignment {
  readonly topic: string;
  readonly partition: number;
  readonly replicas: readonly number[];
}

/** AlterPartitionReassignments, which every broker passes on to the controller (KIP-455). */
const reassignApi: Api<readonly Reassignment[], null> = {
  name: 'AlterPartitionReassignments',
  key: 45,
  minVersion: 0,
  maxVersion: 0,
  flexibleFrom: 0,
  encode(changes) {
    const writer = new WireWriter().int32(30_000);
    writer.array(
      changes,
      ({ topic, partition, replicas }) => {
        writer.string(topic, true);
        const one = (): void => {
          writer.int32(partition).array(replicas, (id) => writer.int32(id), true);
          writer.noTaggedFields();
        };
        writer.array([partition], one, true).noTaggedFields();
      },
      true,
    );
    return writer.noTaggedFields();
  },
  parse: () => null,
};

/** Leaders by partition; -1 where there is none. */
async function leadersOf(admin: Admin, topic: string): Promise<number[]> {
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  const found = metadata.topics.get(topic);
  return Array.from({ length: found?.partitionsCount ?? 0 }, (_, index) => found?.partitions[index]?.leader ?? -1);
}

/** Returns when every partition of the topic has a leader other than before. */
export async function moveLeaders(bootstrapServers: string, topic: string): Promise<void> {
  const admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(','), retries: 20 });
  const [host = '', port] = bootstrapServers.split(',')[0]?.split(':') ?? [];
  const connection = await BrokerConnection.open(host, Number(port), settings());
  try {
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
    const before = await leadersOf(admin, topic);
    const changes = before.map((leader, partition) => {
      const replicas = metadata.topics.get(topic)?.partitions[partition]?.replicas ?? [];
      return { topic, partition, replicas: replicas.filter((id) => id !== leader) };
    });
    await connection.request(reassignApi, changes);
    await waitFor(`other leaders of ${topic}`, async () => {
      const now = await leadersOf(admin, topic);
      return now.every((id, partition) => id > 0 && id !== before[partition]);
    });
  } finally {
    connection.close();
    await admin.close();
  }
}

function settings(): ConnectionSettings {
  return {
    bootstrap: [],
    clientId: 'kafkaload-tests',
    tls: null,
    sasl: null,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 30_000,
    deadlineMs: 30_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
  };
}
