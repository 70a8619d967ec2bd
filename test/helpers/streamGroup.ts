/** Processes of one group that share a target, for tests that kill some of them, or let them sleep. */
import { afterAll, beforeAll, inject } from 'vitest';
import { CrashedStream, type CrashedStreamOptions } from './crashedStream.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import type { RunningStream } from './streams.ts';
import { Workspace } from './workspace.ts';

/** Sets up, for the tests of a file, what their groups need. */
export function useStreamGroups(): {
  readonly workspace: () => Workspace;
  readonly make: (options: CrashedStreamOptions) => Promise<StreamGroup>;
} {
  let workspace: Workspace;
  let server: PostgresServer;
  const groups: StreamGroup[] = [];
  beforeAll(async () => {
    [workspace, server] = await Promise.all([Workspace.open(inject('bootstrapServers')), startPostgres()]);
  });
  afterAll(async () => {
    for (const group of groups) await group.close();
    await workspace.close();
    await server.stop();
  });
  return {
    workspace: () => workspace,
    make: async (options) => {
      const group = new StreamGroup(await CrashedStream.make(workspace, { ...options, server }));
      groups.push(group);
      return group;
    },
  };
}

export class StreamGroup {
  readonly stream: CrashedStream;
  readonly #running: RunningStream[] = [];

  constructor(stream: CrashedStream) {
    this.stream = stream;
  }

  get running(): readonly RunningStream[] {
    return this.#running;
  }

  add(one: RunningStream): RunningStream {
    this.#running.push(one);
    return one;
  }

  /** One that the caller brings to its end. @param fraction Of all, in `[0, 1)`. */
  take(fraction: number): RunningStream | undefined {
    return this.#running.splice(Math.floor(fraction * this.#running.length), 1)[0];
  }

  /**
   * No more is sent. All of it is committed; those that are left stop in order, and one more finishes what was killed.
   *
   * @returns Rows compared: each value is in the target once.
   */
  async settle(what: string): Promise<number> {
    await this.stream.place.producer.end();
    await this.stream.untilAll(what);
    for (const one of this.#running.splice(0)) {
      await one.says('joined group');
      await one.stop();
    }
    await this.stream.finish();
    return this.stream.check(what);
  }

  /** Of a test that failed: a stopped process never ends by itself. */
  async close(): Promise<void> {
    for (const { run } of this.#running.splice(0)) run.child.kill('SIGKILL');
    await this.stream.place.producer.close();
  }
}
