/** `bench -- sweeps`: how the command alone behaves as one thing varies. */
import { availableParallelism } from 'node:os';
import type { SweepName } from '../core/names.ts';
import { offloadContender } from '../core/offload.ts';
import { finishBench } from '../core/output.ts';
import type { Series } from '../core/results.ts';
import { type Contender, runRounds } from '../core/rounds.ts';
import { type BenchTopic, fillTopic } from '../core/topic.ts';
import { type Workspace, withWorkspace } from '../core/workspace.ts';
import { printGoals } from '../goals/print.ts';
import { planSweeps, type Sweep, topicKey, topicsOf } from './plan.ts';

export interface SweepOptions {
  readonly sweeps: readonly SweepName[];
  readonly messages: number;
  readonly rounds: number;
}

export async function runSweeps({ sweeps: names, messages, rounds }: SweepOptions): Promise<void> {
  const startedAt = new Date();
  const sweeps = planSweeps(names, messages, availableParallelism());
  await withWorkspace(async (workspace) => {
    const topics = new TopicShelf(workspace, sweeps);
    const series: Series[] = [];
    for (const sweep of sweeps) {
      console.log(`\n--- ${sweep.name}`);
      series.push(await runSweep(workspace, topics, sweep, rounds));
      await topics.drop(sweep);
    }
    finishBench('sweeps', startedAt, series, { Kafka: workspace.brokerVersion });
  });
  printGoals();
}

async function runSweep(workspace: Workspace, shelf: TopicShelf, sweep: Sweep, rounds: number): Promise<Series> {
  const contenders: Contender[] = [];
  for (const point of sweep.points) {
    const topic = await shelf.take(topicKey(point));
    contenders.push(offloadContender(workspace, point.label, topic, { more: point.more, rows: point.rows }));
  }
  const input = contenders[0]?.input;
  if (!input) throw new Error(`the sweep ${sweep.name} has no point`);
  return { name: sweep.name, input, rounds, results: await runRounds(contenders, input, rounds) };
}

/** Topics that are filled when they are first needed, and removed after the last sweep that reads them. */
class TopicShelf {
  readonly #workspace: Workspace;
  readonly #shapes: ReturnType<typeof topicsOf>;
  readonly #filled = new Map<string, BenchTopic>();
  readonly #users = new Map<string, Set<Sweep>>();

  constructor(workspace: Workspace, sweeps: readonly Sweep[]) {
    this.#workspace = workspace;
    this.#shapes = topicsOf(sweeps);
    for (const sweep of sweeps) {
      for (const key of sweep.points.map(topicKey)) {
        this.#users.set(key, (this.#users.get(key) ?? new Set()).add(sweep));
      }
    }
  }

  async take(key: string): Promise<BenchTopic> {
    const filled = this.#filled.get(key);
    if (filled) return filled;
    const shape = this.#shapes.get(key);
    if (!shape) throw new Error(`no point of the sweeps reads the topic ${key}`);
    const topic = await fillTopic(this.#workspace.bootstrapServers, this.#workspace.topics, shape);
    this.#filled.set(key, topic);
    return topic;
  }

  async drop(sweep: Sweep): Promise<void> {
    for (const [key, users] of this.#users) {
      if (!users.delete(sweep) || users.size > 0) continue;
      const filled = this.#filled.get(key);
      this.#filled.delete(key);
      if (filled) await this.#workspace.topics.delete(filled.topic);
    }
  }
}
