import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../../test/helpers/broker.ts';
import { KAFKA_VERSION } from '../../test/helpers/servers.ts';
import { TestTopics } from '../../test/helpers/topics.ts';

/** What a bench of the whole command needs. */
export interface Workspace {
  readonly bootstrapServers: string;
  readonly brokerVersion: string;
  readonly topics: TestTopics;
  /** Where offsets are saved. */
  readonly offsetsTopic: string;
  /** For configurations and output. */
  readonly folder: string;
}

/**
 * Uses the broker of KAFKA_BOOTSTRAP_SERVERS, else starts one; removes topics and files when the work is done, and stops
 * what it has started.
 */
export async function withWorkspace<T>(work: (workspace: Workspace) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-bench-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  const given = process.env.KAFKA_BOOTSTRAP_SERVERS;
  const broker = given ? null : await startKafka({ jvm: 'tuned' });
  const bootstrapServers = given || (broker?.bootstrapServers ?? '');
  const topics = new TestTopics(bootstrapServers);
  try {
    const brokerVersion = given ? 'given' : KAFKA_VERSION;
    return await work({
      bootstrapServers,
      brokerVersion,
      topics,
      offsetsTopic: topics.reserve('bench-offsets'),
      folder,
    });
  } finally {
    await topics.cleanUp();
    await broker?.stop();
    removeFolder();
    process.removeListener('exit', removeFolder);
  }
}
