import { describe, expect, it } from 'vitest';
import { encoderMemory } from '../../../src/encode/memory.ts';
import { fileLoadThreads } from '../../../src/plan/loadMemory.ts';
import { planMemory } from '../../../src/plan/memory.ts';
import { transformMemory } from '../../../src/transform/memory.ts';

const MIB = 1024 ** 2;
const encoder = encoderMemory('parquet', false);
const transform = transformMemory(null);

describe('fileLoadThreads', () => {
  it('takes no thread whose reader has no room, and one at least', () => {
    expect(fileLoadThreads({ workers: 2, maxMemoryBytes: 320 * MIB, transform })).toBe(2);
    expect(fileLoadThreads({ workers: 2, maxMemoryBytes: 128 * MIB, transform })).toBe(1);
    expect(fileLoadThreads({ workers: 2, maxMemoryBytes: 64 * MIB, transform })).toBe(1);
  });
});

describe('planMemory', () => {
  it('gives each worker of the default memory row groups of some 50 MiB', () => {
    const plan = planMemory({
      maxMemoryBytes: 320 * MIB,
      workers: 2,
      rowGroupBytes: 64 * MIB,
      fetchBytes: 8 * MIB,
      encoder,
      transform,
    });
    expect(plan.fetchBytes).toBe(8 * MIB);
    expect(plan.rowGroupBytes).toBeGreaterThan(45 * MIB);
    expect(plan.rowGroupBytes).toBeLessThan(55 * MIB);
  });

  it('gives row groups that are encoded in parts the room of what is encoded', () => {
    const demand = { workers: 2, rowGroupBytes: 64 * MIB, fetchBytes: 2 * MIB, encoder, transform };
    for (const maxMemoryBytes of [64 * MIB, 128 * MIB, 320 * MIB]) {
      const whole = planMemory({ ...demand, maxMemoryBytes });
      const parts = planMemory({ ...demand, maxMemoryBytes, takesParts: true });
      expect(parts.partBytes).toBeLessThanOrEqual(4 * MIB);
      expect(parts.rowGroupBytes).toBeGreaterThan(whole.rowGroupBytes);
      const held = parts.partBytes * 1.25 + parts.rowGroupBytes * encoder.bytesPerRawByte + 2 * parts.fetchBytes;
      expect(held + encoder.fixedBytes).toBeLessThanOrEqual(maxMemoryBytes / 2);
    }
  });

  it('makes do with the least that the command line takes: 32 MiB a worker', () => {
    const demand = { maxMemoryBytes: 64 * MIB, workers: 2, rowGroupBytes: 64 * MIB, fetchBytes: 8 * MIB };
    for (const format of ['parquet', 'json', 'csv', 'avro', 'text', 'msgpack'] as const) {
      const { rowGroupBytes } = planMemory({ ...demand, encoder: encoderMemory(format, true), transform });
      expect(rowGroupBytes).toBeGreaterThan(MIB);
    }
  });

  it('makes do with 64 MiB a worker where SQL runs', () => {
    const settings = { kind: 'sql', statement: '', where: '', invalidUtf8: 'fail', order: null } as const;
    const demand = { maxMemoryBytes: 128 * MIB, workers: 2, rowGroupBytes: 64 * MIB, fetchBytes: 8 * MIB, encoder };
    expect(planMemory({ ...demand, transform: transformMemory(settings) }).rowGroupBytes).toBeGreaterThan(MIB);
  });

  it('sets aside what a transform takes', () => {
    const settings = { kind: 'sql', statement: '', where: '', invalidUtf8: 'fail', order: null } as const;
    const demand = { maxMemoryBytes: 320 * MIB, workers: 2, rowGroupBytes: 64 * MIB, fetchBytes: 8 * MIB, encoder };
    const { rowGroupBytes } = planMemory({ ...demand, transform: transformMemory(settings) });
    expect(rowGroupBytes).toBeGreaterThan(20 * MIB);
    expect(rowGroupBytes).toBeLessThan(25 * MIB);
  });

  it('never exceeds what was asked for', () => {
    const plan = planMemory({
      maxMemoryBytes: 64 * 1024 * MIB,
      workers: 2,
      rowGroupBytes: 5 * MIB,
      fetchBytes: MIB,
      encoder,
      transform,
    });
    expect(plan).toEqual({ fetchBytes: MIB, rowGroupBytes: 5 * MIB, partBytes: 5 * MIB });
  });

  it('refuses memory that is too little, naming what is needed', () => {
    const demand = {
      maxMemoryBytes: 32 * MIB,
      workers: 4,
      rowGroupBytes: 64 * MIB,
      fetchBytes: 8 * MIB,
      encoder,
      transform,
    };
    expect(() => planMemory(demand)).toThrow(
      '--max-memory 32 MiB is too little for 4 workers, which need 110 MiB; give more memory or fewer --workers',
    );
  });
});
