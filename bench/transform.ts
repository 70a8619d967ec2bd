/**
 * Topic to Parquet with SQL that takes four fields out of JSON, and with a module that passes the table through, beside the
 * same without: contenders alternate in one run.
 *
 *     npm run bench -- transform [MESSAGES]        KAFKA_BOOTSTRAP_SERVERS: a running broker instead of an own one
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareOnTopic, offload } from './e2e.ts';

const MESSAGES = 2_000_000;
const SQL = `SELECT value->>'user' AS user, value->>'event' AS event, CAST(value->>'amount' AS DOUBLE) AS amount,
  value->>'session' AS session FROM messages`;

export async function run(messages = MESSAGES): Promise<void> {
  const names = { bench: 'transform', baseline: 'as it is' };
  await compareOnTopic(names, messages, (folder, bootstrapServers, topic) => {
    const contender = (name: string, target: string, more: readonly string[]) => ({
      name,
      run: (round: number) => offload(folder, bootstrapServers, topic, `${target}${round}`, more),
    });
    writeFileSync(join(folder, 'rows.mjs'), 'export default (table) => table;\n');
    return [
      contender('as it is', 'plain', []),
      contender('a module, the table as it is', 'module', ['--transform', './rows.mjs']),
      contender('SQL, four fields of JSON', 'sql', ['--transform', SQL]),
      contender('SQL, all columns', 'all', ['--transform', 'SELECT * FROM messages']),
    ];
  });
}
