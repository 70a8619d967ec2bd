import { Command, Option } from 'commander';
import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import { FILE_FORMATS, WRITE_MODES } from './formats.ts';
import type { CliOptions } from './options.ts';
import { TRIGGER_NAMES } from './streamOptions.ts';

const EXAMPLES = `
Examples:
  All that is new in a topic, as Parquet files in a folder:
    kafkaload --config orders --path /data/orders

  One file a day, exactly the file named, as JSON lines:
    kafkaload --config orders --write-path '/data/orders-{{date}}.json.gz' --write-coalesce 1 \\
      --write-format json --write-options compression=gzip

  New messages as Parquet files every minute, for as long as it runs:
    kafkaload --config orders --write-path /data/orders --stream --streaming-trigger ProcessingTime \\
      --streaming-trigger-option '1 minute'

  CSV files into a topic, each row once, however often the run is stopped and started again:
    kafkaload --path '/data/in/*.csv' --format csv --options header=true --write-config orders

Commands (each has --help):
  kafkaload offsets show|set|reset|recover --config NAME   saved offsets
  kafkaload sample --config NAME                           the last messages as rows, and their columns
  kafkaload verify --path PATH [--config NAME] [--deep]    shows that what was written is there, once
  kafkaload config check [--conf FILE]                     validates the configuration file and prints it
  kafkaload completion bash|zsh|fish                       a script that completes this command

What is read and written:
  --config, or --format kafka with subscribe in --options   from a topic; else from the files of --path
  --write-config, or --write-format kafka                   to a topic
  --write-path, or --path beside --config                   to files
  --write-format console                                    the first rows as a table on stdout
  --streaming-to-table                                      to a table of DuckDB or PostgreSQL

The configuration is --conf FILE, else KAFKALOAD_CONF, else the first of ./application.conf,
./application.sl.yml, ./kafkaload.yml, .yaml, .json, .conf and $SL_ROOT/metadata/application.sl.yml.
Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 data was lost, 130 and 143 stopped by a signal.
`;

/** Says how errors and texts of a command come out. */
export type Configure = (command: Command) => Command;

/** `kafkaload` itself: every option, in groups, with its default in its description. */
export function buildRunCommand(configure: Configure): Command {
  const formats = FILE_FORMATS.join(', ');
  const command = configure(new Command('kafkaload'))
    .usage('(--config NAME | --path SOURCE) (--write-path TARGET | --write-config NAME) [options]')
    .description('Moves rows between Kafka topics and files, every row exactly once.')
    .addHelpOption(new Option('-h, --help', 'print this text').helpGroup('Output:'))
    .addHelpText('after', EXAMPLES)
    // So that the message can say which words they are.
    .allowExcessArguments(true)
    .optionsGroup('Source:')
    .option('--config <name>', 'entry under kafka.topics to read from; offsets are saved by this name')
    .option('--path <path,...>', 'files, folders or globs to load; with --config alone: the target')
    .option('--format <format>', `of the source, or of the target in --path: ${formats}, kafka (default: parquet)`)
    .option('--options <k=v,...>', 'for the reader; config=NAME takes the options of that entry under the others')
    .optionsGroup('Rows:')
    .option(
      '--transform <sql>',
      'SELECT ... FROM messages WHERE ... over the columns of messages or files, or a module as ./rows.mjs',
    )
    .optionsGroup('Range of a topic:')
    .option('--max-records <n>', 'at most so many messages; the next run goes on there (default: maxRead of the topic)')
    .option(
      '--starting-offsets <offsets>',
      'earliest, latest, {"0":12,"1":40} by partition, {"TOPIC":{"0":12}}, or an ISO time; other offsets than the ' +
        'saved ones need --no-commit (default: startingOffsets of the topic, where nothing is saved)',
    )
    .option('--ending-offsets <offsets>', 'the same for the end (default: endingOffsets of the topic, else latest)')
    .option('--no-commit', 'read and write, and leave the saved offsets as they are')
    .optionsGroup('Target:')
    .option('--write-config <name>', 'entry under kafka.topics to write to')
    .option(
      '--write-path <target>',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: shown as it is to be written
      'folder, or file with --write-coalesce 1; may hold {{config}}, {{topic}}, {{date}}, ${ENV}',
    )
    .option(
      '--write-format <format>',
      `${formats}, kafka, console (default: writeFormat of the topic; else parquet for a path, kafka without one)`,
    )
    .option('--write-mode <mode>', `${WRITE_MODES.join(', ')}, any case (default: ${DEFAULTS.writeMode})`)
    .option(
      '--write-options <k=v,...>',
      'for the writer, as compression=zstd; config=NAME takes the options of that entry under the others',
    )
    .option(
      '--write-coalesce <n>',
      'number of files; 1 is exactly the file named (default: as many as there are pieces)',
    )
    .option(
      '--write-partition-by <columns>',
      'folders by values of columns, as country,date(timestamp); --write-coalesce is then the files of each folder',
    )
    .option('--reload', 'load files again that were loaded already')
    .optionsGroup('Stream:')
    .option('--stream', 'keep running: take what is new at each trigger, as a member of the consumer group group.id')
    .option(
      '--streaming-trigger <trigger>',
      `${TRIGGER_NAMES.join(', ')}, any case (default: Once, all there is now and then the end)`,
    )
    .option('--streaming-trigger-option <interval>', 'as "10 seconds", "1 minute", PT10S (default: 10 seconds)')
    .option('--streaming-to-table <table>', 'db.table or table to append to, in place of files')
    .option('--streaming-partition-by <columns>', 'as --write-partition-by')
    .option('--metrics-port <n>', 'Prometheus metrics, /healthz and /readyz on this port; 0: any that is free')
    .option('--ui-port <n>', 'a page that shows throughput, lag and commits on this port')
    .option('--listen <address>', 'where both listen (default: 127.0.0.1)')
    .option('--progress', 'a line on stderr: rows/s, lag, the last commit')
    .optionsGroup('Run:')
    .option('--connectionRef <name>', 'entry under connections for the side that is not named otherwise')
    .option('--conf <file>', 'configuration file: HOCON (.conf), YAML or JSON (default: see below)')
    .option('--workers <n>', 'threads that read and write (default: cores)')
    .option(
      '--max-memory <size>',
      'for buffers of all workers, as 512MiB (default: 64 MiB and 128 MiB a worker, at most a quarter of the machine)',
    )
    .option('--take-over', 'go on although another run of this config seems to be alive: that one is stopped')
    .option('--dry-run', 'print the plan and change nothing')
    .optionsGroup('Output:')
    .option('--report <format>', 'summary on stdout: text or json (default: text)')
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .option('--version', 'print the version');
  return command;
}

/**
 * What a parsed command asks for.
 *
 * @throws OffloadError USAGE for words that belong to no option.
 */
export function readRunOptions(command: Command): CliOptions {
  const [stray] = command.args;
  if (stray !== undefined) {
    throw usage(`"${stray}" belongs to no option; put globs and values with spaces in quotes`);
  }
  const { commit, ...given } = command.opts<CliOptions & { readonly commit: boolean }>();
  return commit ? given : { ...given, noCommit: true };
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
