import { Command, Option } from 'commander';
import type { OffsetsAction, OffsetsOptions } from './options.ts';
import type { Configure } from './runCommandLine.ts';

const EXAMPLES = `
Examples:
  What is saved, beside what the topic holds:
    kafkaload offsets show --config orders

  Read partition 0 again from offset 1200; other partitions stay as they are:
    kafkaload offsets set --config orders --offsets '{"0": 1200}'

  Begin by startingOffsets again, after the topic was deleted and made again:
    kafkaload offsets reset --config orders
`;

/** `kafkaload offsets ...`: hands on what was asked for. The caller says how errors and help come out. */
export function buildOffsetsCommand(
  configure: Configure,
  onRequest: (action: OffsetsAction, options: OffsetsOptions) => void,
): Command {
  const command = configure(new Command('kafkaload offsets'))
    .usage('show|set|reset|recover --config NAME [options]')
    .description('Shows and changes the offsets saved of a config: the next ones to read.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES);
  const add = (action: OffsetsAction, description: string): Command =>
    command
      .command(action)
      .usage('--config NAME [options]')
      .description(description)
      .allowExcessArguments(false)
      .option('--config <name>', 'entry under kafka.topics whose offsets are meant')
      .option('--conf <file>', 'configuration file (default: as for kafkaload itself)')
      .addOption(new Option('--report <format>', 'text or json (default: text)'))
      .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
      .action((options: OffsetsOptions) => onRequest(action, options));
  const dryRun = ['--dry-run', 'say what would be done and change nothing'] as const;
  add('show', 'Saved offsets beside log start, end and lag; a live or unfinished run. Looks only.');
  add('set', 'Saves other offsets; a run that was prepared is finished first.')
    .option(
      '--offsets <offsets>',
      'offsets by partition as {"0": 12, "1": 40}, partitions not named stay; or for all: earliest, latest, an ISO time',
    )
    .option(...dryRun);
  add('reset', 'Forgets all that is saved, so that the next run begins by startingOffsets.').option(...dryRun);
  add('recover', 'Finishes a run that was prepared and did not end; reads nothing new.')
    .option('--discard', 'give its ranges back to the next run instead, if none of its files is visible')
    .option(...dryRun);
  return command;
}
