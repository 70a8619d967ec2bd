import { Argument, Command } from 'commander';
import type { CheckOptions, VerifyOptions } from './options.ts';
import type { Configure } from './runCommandLine.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const CHECK_EXAMPLES = `
Examples:
  kafkaload config check
  kafkaload config check --conf prod.conf --report json
`;

const COMPLETION_EXAMPLES = `
Examples:
  In ~/.bashrc:
    source <(kafkaload completion bash)

  In ~/.zshrc, after compinit:
    source <(kafkaload completion zsh)

  Once, for fish:
    kafkaload completion fish > ~/.config/fish/completions/kafkaload.fish
`;

const VERIFY_EXAMPLES = `
Examples:
  Files and offsets that runs recorded below a folder:
    kafkaload verify --path /data/orders

  The offsets of all rows as well, beside what is saved and what the topic still holds:
    kafkaload verify --path /data/orders --config orders --deep

Exit status: 0 all is there once, 3 something is lost, doubled or damaged, 1 and 2 as for kafkaload itself.
`;

/** `kafkaload verify`. */
export function buildVerifyCommand(configure: Configure, onRequest: (options: VerifyOptions) => void): Command {
  return configure(new Command('kafkaload verify'))
    .usage('--path PATH [options]')
    .description('Shows that what runs have written is there, each offset once. Looks only, also during a run.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .allowExcessArguments(false)
    .option('--path <path>', 'folder that was written to, or the file of --write-coalesce 1')
    .option('--config <name>', 'this config alone, and what is saved of it (default: all that wrote there)')
    .option('--deep', 'read the rows: their offsets, and with --config those of the messages in the topic')
    .option('--conf <file>', 'configuration file (default: as for kafkaload itself)')
    .option('--report <format>', 'text or json (default: text)')
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action((options: VerifyOptions) => onRequest(options));
}

/** `kafkaload config ...`. */
export function buildConfigCommand(configure: Configure, onRequest: (options: CheckOptions) => void): Command {
  const command = configure(new Command('kafkaload config'))
    .usage('check [options]')
    .description('Looks at the configuration file.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .addHelpText('after', CHECK_EXAMPLES);
  command
    .command('check')
    .usage('[options]')
    .description('Validates the configuration file without Kafka and prints it, with secrets masked.')
    .allowExcessArguments(false)
    .option('--conf <file>', 'configuration file (default: as for kafkaload itself)')
    .option('--report <format>', 'text (YAML) or json (default: text)')
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .action((options: CheckOptions) => onRequest(options));
  return command;
}

/** `kafkaload completion SHELL`. */
export function buildCompletionCommand(configure: Configure, onRequest: (shell: Shell) => void): Command {
  return configure(new Command('kafkaload completion'))
    .usage('bash|zsh|fish')
    .description('Prints a script that completes commands, options, formats, modes and names of the configuration.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .allowExcessArguments(false)
    .addArgument(new Argument('<shell>', 'the shell it is for').choices(SHELLS))
    .addHelpText('after', COMPLETION_EXAMPLES)
    .action((shell: Shell) => onRequest(shell));
}
