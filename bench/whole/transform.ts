/**
 * Topic to Parquet with SQL that takes four fields out of JSON, and with a module that passes the table through, beside the
 * same without: contenders alternate in one run.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { offloadContender } from '../core/offload.ts';
import { finishBench } from '../core/output.ts';
import { runRounds } from '../core/rounds.ts';
import { fillTopic, type TopicShape } from '../core/topic.ts';
import { withWorkspace } from '../core/workspace.ts';

const SQL = `SELECT value->>'user' AS user, value->>'event' AS event, CAST(value->>'amount' AS DOUBLE) AS amount,
  value->>'session' AS session FROM messages`;

export async function runTransform({ rounds, ...shape }: TopicShape & { readonly rounds: number }): Promise<void> {
  const startedAt = new Date();
  const series = await withWorkspace(async (workspace) => {
    writeFileSync(join(workspace.folder, 'rows.mjs'), 'export default (table) => table;\n');
    const topic = await fillTopic(workspace.bootstrapServers, workspace.topics, shape);
    const transformed = (name: string, transform: string, isPlain: boolean) =>
      offloadContender(workspace, name, topic, { more: ['--transform', transform], isPlain });
    const contenders = [
      offloadContender(workspace, 'as it is', topic),
      transformed('a module, the table as it is', './rows.mjs', true),
      transformed('SQL, four fields of JSON', SQL, false),
      transformed('SQL, all columns', 'SELECT * FROM messages', true),
    ];
    return { name: 'transform', input: topic.input, rounds, results: await runRounds(contenders, topic.input, rounds) };
  });
  finishBench('transform', startedAt, [series]);
}
