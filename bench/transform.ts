/**
 * Topic to Parquet with SQL that takes four fields out of JSON, beside the same without: contenders alternate in one run.
 *
 *     npm run bench -- transform [MESSAGES]        KAFKA_BOOTSTRAP_SERVERS: a running broker instead of an own one
 */
import { compareOnTopic, offload } from './e2e.ts';

const MESSAGES = 2_000_000;
const SQL = `SELECT value->>'user' AS user, value->>'event' AS event, CAST(value->>'amount' AS DOUBLE) AS amount,
  value->>'session' AS session FROM messages`;

export async function run(messages = MESSAGES): Promise<void> {
  await compareOnTopic('transform', messages, (folder, bootstrapServers, topic) => {
    const contender = (name: string, target: string, more: readonly string[]) => ({
      name,
      run: (round: number) => offload(folder, bootstrapServers, topic, `${target}${round}`, more),
    });
    return [
      contender('as it is', 'plain', []),
      contender('SQL, four fields of JSON', 'sql', ['--transform', SQL]),
      contender('SQL, all columns', 'all', ['--transform', 'SELECT * FROM messages']),
    ];
  });
}
