import { describe, expect, it } from 'vitest';
import { parseArguments, UsageError } from '../../../bench/arguments.ts';
import { MICRO_BENCHES, PEERS, SWEEPS } from '../../../bench/core/names.ts';

const parse = (line: string) => parseArguments(line.split(' ').filter((word) => word !== ''));

describe('the arguments of npm run bench', () => {
  it('are none for all benches', () => {
    expect(parse('')).toEqual({ kind: 'all' });
  });

  it('have defaults', () => {
    const shape = { messages: 4_000_000, partitions: 8, codec: 'lz4', valueBytes: null, rounds: 3 };
    expect(parse('e2e')).toEqual({ kind: 'e2e', options: shape });
    expect(parse('transform')).toEqual({ kind: 'transform', options: { ...shape, messages: 2_000_000 } });
    const { rounds: _, ...oneRun } = shape;
    expect(parse('trace')).toEqual({ kind: 'trace', options: oneRun });
    expect(parse('load')).toEqual({ kind: 'load', options: { messages: 2_000_000, rounds: 3 } });
    expect(parse('peers')).toEqual({ kind: 'peers', options: { peers: PEERS, messages: 4_000_000, rounds: 3 } });
    expect(parse('sweeps')).toEqual({ kind: 'sweeps', options: { sweeps: SWEEPS, messages: 4_000_000, rounds: 3 } });
    expect(parse('compare a.json')).toEqual({ kind: 'compare', base: 'a.json', next: null });
  });

  it('name the shape of the topic', () => {
    const request = parse('e2e --messages 20_000 --size 1000 --partitions 64 --codec zstd --rounds 5');
    const options = { messages: 20_000, valueBytes: 1_000, partitions: 64, codec: 'zstd', rounds: 5 };
    expect(request).toEqual({ kind: 'e2e', options });
  });

  it('choose peers and sweeps, whatever their order', () => {
    expect(parse('peers --only spark,kcat')).toMatchObject({ options: { peers: ['kcat', 'spark'] } });
    expect(parse('sweeps --only memory')).toMatchObject({ options: { sweeps: ['memory'] } });
  });

  it('run one micro bench or all', () => {
    expect(parse('micro')).toEqual({ kind: 'micro', names: MICRO_BENCHES });
    expect(parse('encode')).toEqual({ kind: 'micro', names: ['encode'] });
  });

  it('print a help that names every bench', () => {
    const request = parse('--help');
    expect(request).toMatchObject({ kind: 'print' });
    for (const name of ['micro', 'e2e', 'load', 'transform', 'trace', 'peers', 'sweeps', 'compare', 'report']) {
      expect(request).toMatchObject({ text: expect.stringContaining(`  ${name} `) });
    }
    expect(parse('e2e --help')).toMatchObject({ text: expect.stringContaining('--codec <codec>') });
  });

  it.each([
    ['unknown', "unknown command 'unknown'"],
    ['e2e 4000', 'too many arguments'],
    ['e2e --size 5', 'a whole number from 32 to 1000000 is needed'],
    ['e2e --partitions 0', 'a whole number from 1 to 1000 is needed'],
    ['e2e --messages 1e6', 'a whole number from 1 to'],
    ['e2e --codec brotli', 'Allowed choices are none, gzip, snappy, lz4, zstd'],
    ['e2e --message 5', "unknown option '--message'"],
    ['peers --only kcat,flink', 'there is no "flink"; there are kcat, python, spark'],
    ['compare', "missing required argument 'base'"],
  ])('refuse "%s" in one line', (line, message) => {
    expect(() => parse(line)).toThrow(UsageError);
    expect(() => parse(line)).toThrow(message);
    expect(() => parse(line)).not.toThrow('\n');
  });
});
