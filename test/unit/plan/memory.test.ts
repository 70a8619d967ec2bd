import { describe, expect, it } from 'vitest';
import { encoderMemory } from '../../../src/encode/memory.ts';
import { planMemory } from '../../../src/plan/memory.ts';

const MIB = 1024 ** 2;
const encoder = encoderMemory('parquet', false);

describe('planMemory', () => {
  it('gives each worker of the default memory row groups of some 40 MiB', () => {
    const plan = planMemory({
      maxMemoryBytes: 320 * MIB,
      workers: 2,
      rowGroupBytes: 64 * MIB,
      fetchBytes: 8 * MIB,
      encoder,
    });
    expect(plan.fetchBytes).toBe(8 * MIB);
    expect(plan.rowGroupBytes).toBeGreaterThan(35 * MIB);
    expect(plan.rowGroupBytes).toBeLessThan(45 * MIB);
  });

  it('never exceeds what was asked for', () => {
    const plan = planMemory({
      maxMemoryBytes: 64 * 1024 * MIB,
      workers: 2,
      rowGroupBytes: 5 * MIB,
      fetchBytes: MIB,
      encoder,
    });
    expect(plan).toEqual({ fetchBytes: MIB, rowGroupBytes: 5 * MIB });
  });

  it('refuses memory that is too little, naming what is needed', () => {
    const demand = { maxMemoryBytes: 32 * MIB, workers: 4, rowGroupBytes: 64 * MIB, fetchBytes: 8 * MIB, encoder };
    expect(() => planMemory(demand)).toThrow(
      '--max-memory 32 MiB is too little for 4 workers, which need 175 MiB; give more memory or fewer --workers',
    );
  });
});
