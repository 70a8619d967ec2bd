import { Command, CommanderError, Option } from 'commander';
import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import { buildOffsetsCommand } from './offsetsCommandLine.ts';
import type { CliOptions, OffsetsAction, OffsetsOptions } from './options.ts';
import { formatSize } from './sizes.ts';

/** What a command line asks for: a run, something about saved offsets, or a text to print on stdout. */
export type Request =
  | { readonly kind: 'run'; readonly options: CliOptions }
  | { readonly kind: 'offsets'; readonly action: OffsetsAction; readonly options: OffsetsOptions }
  | { readonly kind: 'print'; readonly text: string };

const EXAMPLES = `
Examples:
  All that is new in a topic, as Parquet files in a folder:
    kafkaload --config orders --path /data/orders

  One file a day, exactly the file named, compressed with zstd:
    kafkaload --config orders --write-path '/data/orders-{{date}}.parquet' --write-coalesce 1 \\
      --write-options compression=zstd,rowGroupBytes=128MiB

  What a run would read and write, without doing it:
    kafkaload --conf prod.yml --config orders --path /data/orders --dry-run

Commands:
  kafkaload offsets show|set|reset|recover --config NAME   saved offsets; kafkaload offsets --help tells more

The configuration is --conf FILE, else KAFKALOAD_CONF, else the first of ./application.conf,
./application.sl.yml, ./kafkaload.yml, .yaml, .json, .conf and $SL_ROOT/metadata/application.sl.yml.
Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 data was lost, 130 and 143 stopped by a signal.
`;

/**
 * Reads the command line, as far as that is possible without a configuration: values stay text.
 *
 * @param argv Arguments after the name of the command.
 * @param version Called for `--version` only.
 * @throws OffloadError USAGE in one line, with the nearest option for an unknown one.
 */
export function parseCommandLine(argv: readonly string[], version: () => string): Request {
  let printed = '';
  const configure = (command: Command): Command =>
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        printed += text;
      },
      writeErr: () => {},
      getOutHelpWidth: () => 100,
      getOutHasColors: () => false,
    });
  let offsets: Request | null = null;
  const isOffsets = argv[0] === 'offsets';
  const command = isOffsets
    ? buildOffsetsCommand(configure, (action, options) => {
        offsets = { kind: 'offsets', action, options };
      })
    : configure(buildCommand());
  try {
    command.parse(argv.slice(isOffsets ? 1 : 0), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'print', text: printed };
    // "error: unknown option '--pth'\n(Did you mean --path?)"
    const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?');
    if (isOffsets) throw offsetsError(error, message);
    throw new OffloadError('USAGE', `${message} (kafkaload --help lists all options)`);
  }
  if (offsets) return offsets;
  const { version: wantsVersion, ...options } = command.opts<CliOptions & { version?: boolean }>();
  if (wantsVersion) return { kind: 'print', text: `${version()}\n` };
  return { kind: 'run', options };
}

function offsetsError(error: CommanderError, message: string): OffloadError {
  const what = error.code === 'commander.help' ? 'offsets needs one of show, set, reset, recover' : message;
  return new OffloadError('USAGE', `${what} (kafkaload offsets --help tells more)`);
}

function buildCommand(): Command {
  return new Command('kafkaload')
    .usage('--config NAME (--path TARGET | --write-path TARGET) [options]')
    .description('Offloads what is new in a Kafka topic to Parquet files, every row exactly once.')
    .addHelpOption(new Option('-h, --help', 'print this text').helpGroup('Output:'))
    .allowExcessArguments(false)
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Source:')
    .option('--config <name>', 'entry under kafka.topics to read from; offsets are saved by this name')
    .option('--conf <file>', 'configuration file: HOCON (.conf), YAML or JSON (default: see below)')
    .optionsGroup('Target:')
    .option('--path <target>', 'with --config alone: the target, written in --format')
    .option('--format <format>', 'format of --path: parquet (default: parquet)')
    .option(
      '--write-path <target>',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: shown as it is to be written
      'folder, or file with --write-coalesce 1; may hold {{config}}, {{topic}}, {{date}}, ${ENV}',
    )
    .option('--write-format <format>', "parquet (default: the topic's writeFormat, else parquet)")
    .option('--write-mode <mode>', 'Append, Overwrite, ErrorIfExists or Ignore, any case (default: Append)')
    .option(
      '--write-coalesce <n>',
      'number of files; 1 is exactly the file named (default: as many as there are pieces)',
    )
    .option(
      '--write-options <k=v,...>',
      `compression=snappy|zstd|gzip|lz4_raw|none (default: ${DEFAULTS.compression}), ` +
        `rowGroupRows=N (default: ${DEFAULTS.rowGroupRows}), ` +
        `rowGroupBytes=SIZE (default: ${formatSize(DEFAULTS.rowGroupBytes).replace(' ', '')})`,
    )
    .optionsGroup('Run:')
    .option('--workers <n>', 'threads that read and write (default: cores)')
    .option(
      '--max-memory <size>',
      'for buffers of all workers, as 512MiB (default: 64 MiB and 128 MiB a worker, at most a quarter of the machine)',
    )
    .option('--dry-run', 'print the plan and change nothing')
    .optionsGroup('Output:')
    .addOption(new Option('--report <format>', 'summary on stdout: text or json (default: text)'))
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .option('--version', 'print the version');
}
