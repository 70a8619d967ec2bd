import { Command } from 'commander';
import type { SampleOptions } from './options.ts';
import type { Configure } from './runCommandLine.ts';

const EXAMPLES = `
Examples:
  What the newest messages of a topic look like:
    kafkaload sample --config orders

  What a transform makes of them, before the nightly job runs it:
    kafkaload sample --config orders --transform "SELECT value->>'user' AS user, \\"offset\\" FROM messages"

  More messages, for a filter that keeps few; values in full:
    kafkaload sample --config orders --limit 2000 --truncate false --transform ./rows.mjs
`;

/** `kafkaload sample ...`: hands on what was asked for. The caller says how errors and help come out. */
export function buildSampleCommand(configure: Configure, onRequest: (options: SampleOptions) => void): Command {
  return configure(new Command('kafkaload sample'))
    .usage('--config NAME [options]')
    .description('Shows the last messages of a topic as rows, and their columns. Looks only.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .allowExcessArguments(false)
    .addHelpText('after', EXAMPLES)
    .option('--config <name>', 'entry under kafka.topics to read from')
    .option('--format <format>', 'kafka, for a topic that --options names (default: as --config says)')
    .option('--options <k=v,...>', 'for the reader; config=NAME takes the options of that entry under the others')
    .option('--connectionRef <name>', 'entry under connections for the topic')
    .option('--transform <sql>', 'SELECT ... FROM messages WHERE ..., or a module as ./rows.mjs')
    .option('--limit <n>', 'messages to read, the last ones of each partition, shared evenly (default: 20)')
    .option('--truncate <n>', 'characters a cell of the table is cut to; false shows all (default: 20)')
    .option('--conf <file>', 'configuration file (default: as for kafkaload itself)')
    .option('--report <format>', 'text or json, with the whole of each value (default: text)')
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .action((options: SampleOptions) => onRequest(options));
}
