/** Which options and which connection speak of the source, and which of the sink. */
import { OffloadError } from '../errors.ts';
import type { Connection } from './connections.ts';
import type { CliOptions } from './options.ts';

/** @throws OffloadError USAGE for options that name a side twice, or a side that is not there. */
export function checkSides(options: CliOptions, isTopic: boolean, sink: 'topic' | 'console' | 'files'): void {
  const { config, path, format, writeConfig, writePath, writeFormat } = options;
  if (config === undefined && isTopic && path !== undefined) {
    throw usage('--path names files to load and --format kafka a topic to read; name the target by --write-path');
  }
  if (writeConfig !== undefined && sink !== 'topic') {
    throw usage(
      `--write-format ${writeFormat} and --write-config ${writeConfig} name different targets; keep one of them`,
    );
  }
  if (writeConfig !== undefined && writePath !== undefined) {
    throw usage(`--write-config ${writeConfig} and --write-path ${writePath} name different targets; keep one of them`);
  }
  if (config !== undefined && writeConfig !== undefined && path !== undefined) {
    throw usage(
      `--path ${path} has no place: --config ${config} is read and --write-config ${writeConfig} written; remove it, or --config to load files`,
    );
  }
  const target = writePath === undefined ? '--path' : '--write-path';
  const targetPath = writePath ?? (isTopic ? path : undefined);
  if (sink === 'topic' && targetPath !== undefined) {
    throw usage(`--write-format kafka writes to a topic and ${target} names files; name the topic by --write-config`);
  }
  if (sink === 'console' && targetPath !== undefined) {
    throw usage(`${target} has no place with the console; remove it, or write files by another --write-format`);
  }
  if (config !== undefined && format !== undefined && format.toLowerCase() !== 'kafka' && sink !== 'files') {
    throw usage(`--format ${format} has no place: --config ${config} reads a topic; remove it`);
  }
  if (config !== undefined && format !== undefined && format.toLowerCase() !== 'kafka' && path === undefined) {
    throw usage(`--format ${format} says how --path is written, which is not given; use --write-format ${format}`);
  }
}

/**
 * The side a connection is for: the one that its type fits and nothing else says more of.
 *
 * @throws OffloadError USAGE where it fits both, or none.
 */
export function sideOf(
  connection: Connection | null,
  isTopic: boolean,
  sink: 'topic' | 'console' | 'files',
  name: string,
): 'source' | 'sink' {
  if (connection?.type === 'POSTGRESQL') {
    throw usage(
      `--connectionRef ${name} is of type POSTGRESQL, and no table is written; name one by --streaming-to-table, or remove it`,
    );
  }
  const isKafka = connection?.type === 'KAFKA';
  const fits = [isKafka === isTopic, isKafka ? sink === 'topic' : sink === 'files'];
  if (fits[0] && fits[1]) {
    const both = isKafka
      ? 'topics; put its options into accessOptions of one of them'
      : 'files; write the options of one of them out';
    throw usage(`--connectionRef ${name} could be for the source or the target, which are both ${both}`);
  }
  if (fits[0]) return 'source';
  if (fits[1]) return 'sink';
  throw usage(
    `--connectionRef ${name} is of type ${connection?.type}, but no ${isKafka ? 'topic is' : 'files are'} read or written; remove it`,
  );
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
