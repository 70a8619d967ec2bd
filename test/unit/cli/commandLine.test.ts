import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/config/commandLine.ts';
import { errorOf } from '../config/workspace.ts';

const parse = (...argv: string[]) => parseCommandLine(argv, () => '1.2.3');

describe('parseCommandLine', () => {
  it('hands every option on as text', () => {
    const values = {
      config: 'a',
      conf: 'b',
      path: 'c',
      format: 'd',
      writePath: 'e',
      writeFormat: 'f',
      writeMode: 'g',
      writeCoalesce: '1',
      writeOptions: 'h=1,i=2',
      workers: '2',
      maxMemory: '1G',
      report: 'json',
    };
    const argv = Object.entries(values).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      value,
    ]);
    expect(parse(...argv, '--dry-run', '--verbose')).toEqual({
      kind: 'run',
      options: { ...values, dryRun: true, verbose: true },
    });
    expect(parse()).toEqual({ kind: 'run', options: {} });
  });

  it('prints the version', () => {
    expect(parse('--version')).toEqual({ kind: 'print', text: '1.2.3\n' });
  });

  it('prints help with groups, defaults and three examples, and reads nothing else', () => {
    const help = parse('--config', 'x', '--help');
    if (help.kind !== 'print') throw new Error('no help was printed');
    expect(help.text).toMatchInlineSnapshot(`
      "Usage: kafkaload --config NAME (--path TARGET | --write-path TARGET) [options]

      Offloads what is new in a Kafka topic to Parquet files, every row exactly once.

      Source:
        --config <name>            entry under kafka.topics to read from; offsets are saved by this name
        --conf <file>              configuration file: HOCON (.conf), YAML or JSON (default: see below)

      Target:
        --path <target>            with --config alone: the target, written in --format
        --format <format>          format of --path: parquet (default: parquet)
        --write-path <target>      folder, or file with --write-coalesce 1; may hold {{config}},
                                   {{topic}}, {{date}}, \${ENV}
        --write-format <format>    parquet (default: the topic's writeFormat, else parquet)
        --write-mode <mode>        Append, Overwrite, ErrorIfExists or Ignore, any case (default: Append)
        --write-coalesce <n>       number of files; 1 is exactly the file named (default: as many as there
                                   are pieces)
        --write-options <k=v,...>  compression=snappy|zstd|gzip|lz4_raw|none (default: snappy),
                                   rowGroupRows=N (default: 1000000), rowGroupBytes=SIZE (default: 64MiB)

      Run:
        --workers <n>              threads that read and write (default: cores)
        --max-memory <size>        for buffers of all workers, as 512MiB (default: 64 MiB and 128 MiB a
                                   worker, at most a quarter of the machine)
        --dry-run                  print the plan and change nothing

      Output:
        --report <format>          summary on stdout: text or json (default: text)
        --verbose                  say more on stderr, and the whole chain of causes of an error
        --version                  print the version
        -h, --help                 print this text

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

      "
    `);
  });

  it.each([
    [['--pth', 'x'], "unknown option '--pth'; did you mean --path? (kafkaload --help lists all options)"],
    [['--stream'], "unknown option '--stream' (kafkaload --help lists all options)"],
    [['--config'], "option '--config <name>' argument missing (kafkaload --help lists all options)"],
    [['orders'], 'too many arguments. Expected 0 arguments but got 1. (kafkaload --help lists all options)'],
  ])('refuses %j in one line', async (argv, message) => {
    expect(await errorOf(() => parse(...argv))).toBe(`USAGE: ${message}`);
  });
});
