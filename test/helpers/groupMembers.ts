import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { GroupSettings } from '../../src/config/kafkaSettings.ts';
import { Cluster } from '../../src/kafka/cluster.ts';
import { type GroupMemberOptions, openGroupMember } from '../../src/stream/groupMember.ts';
import type { GroupMember, StreamEvent, TopicPartition } from '../../src/stream/types.ts';
import { connectionSettings } from './connectionSettings.ts';
import { waitFor } from './wait.ts';

type Kind = 'assigned' | 'revoked' | 'lost';

export interface Call {
  readonly kind: Kind;
  readonly partitions: readonly string[];
}

export interface MemberOptions extends Partial<GroupSettings> {
  readonly topics?: GroupMemberOptions['topics'];
  readonly topicsMaxAgeMs?: number;
  /** Called before a call of the listener returns. */
  readonly during?: (call: Call) => Promise<void>;
  /** Left out of the watch: one that hears late of what it has lost. */
  readonly isLate?: boolean;
}

/** One member, what its listener was told, and what it makes of that. */
export interface TestMember {
  readonly member: GroupMember;
  readonly calls: readonly Call[];
  readonly events: readonly StreamEvent[];
  /** `topic/partition`, in order. */
  owned(): string[];
  close(): Promise<void>;
}

/** Members of groups in this process, who watch that no partition is read by two of them at once. */
export class TestMembers {
  readonly cluster: Cluster;
  readonly #readers = new Map<string, string>();
  readonly #open = new Set<TestMember>();
  readonly #doubles: string[] = [];
  #joined = 0;

  constructor(bootstrapServers: string) {
    this.cluster = new Cluster(connectionSettings(bootstrapServers));
  }

  async join(groupId: string, topic: string, options: MemberOptions = {}): Promise<TestMember> {
    const { topics, topicsMaxAgeMs, during, isLate = false, ...settings } = options;
    const calls: Call[] = [];
    const events: StreamEvent[] = [];
    const owned = new Set<string>();
    const isOurs = (place: string): string => `${groupId} ${place}`;
    const call = (kind: Kind) => async (partitions: readonly TopicPartition[]) => {
      const places = partitions.map((one) => `${one.topic}/${one.partition}`);
      calls.push({ kind, partitions: places });
      if (kind === 'assigned') {
        for (const place of places) {
          owned.add(place);
          if (isLate) continue;
          if (this.#readers.has(isOurs(place))) this.#doubles.push(isOurs(place));
          this.#readers.set(isOurs(place), name);
        }
      }
      await during?.({ kind, partitions: places });
      if (kind === 'assigned') return;
      for (const place of places) {
        owned.delete(place);
        if (this.#readers.get(isOurs(place)) === name) this.#readers.delete(isOurs(place));
      }
    };
    const name = `${groupId} ${this.#joined++}`;
    const member = await openGroupMember({
      cluster: this.cluster,
      settings: {
        ...{ groupId, instanceId: null, sessionTimeoutMs: 3_000, heartbeatIntervalMs: 100, rebalanceTimeoutMs: 30_000 },
        ...settings,
      },
      topics: topics ?? (() => this.allOf(topic)),
      listener: { assigned: call('assigned'), revoked: call('revoked'), lost: call('lost') },
      signal: new AbortController().signal,
      observe: (event) => events.push(event),
      ...(topicsMaxAgeMs === undefined ? {} : { topicsMaxAgeMs }),
    });
    const close = async (): Promise<void> => {
      await member.close();
      this.#open.delete(opened);
      for (const place of owned) {
        if (this.#readers.get(isOurs(place)) === name) this.#readers.delete(isOurs(place));
      }
    };
    const opened = { member, calls, events, owned: () => [...owned].sort((a, b) => (a < b ? -1 : 1)), close };
    this.#open.add(opened);
    return opened;
  }

  async allOf(...names: readonly string[]) {
    const found = await Promise.all(names.map((name) => this.cluster.findTopic(name)));
    return found.flatMap((info) => (info ? [info] : []));
  }

  /**
   * Waits until the members read so many partitions each, none of them two; in any order.
   *
   * @param mayOverlap One that the group went on without reads on until it hears of that, beside whoever has its partitions.
   */
  async share(members: readonly TestMember[], loads: readonly number[], mayOverlap = false): Promise<void> {
    const expected = [...loads].sort((a, b) => a - b).join();
    const shown = (): string => members.map((one) => one.owned().length).join();
    try {
      await waitFor(`members to read ${expected}`, () => {
        const found = members.map((one) => one.owned().length).sort((a, b) => a - b);
        return found.join() === expected;
      });
    } catch (error) {
      throw new Error(`${String(error)}; they read ${shown()}: ${JSON.stringify(members.map(({ calls }) => calls))}`);
    }
    if (mayOverlap) this.#doubles.splice(0);
    this.check();
  }

  /** @throws Error naming the partitions that two have read at once. */
  check(): void {
    const doubles = this.#doubles.splice(0);
    if (doubles.length > 0) throw new Error(`read by two: ${doubles.join()}`);
  }

  async closeAll(): Promise<void> {
    for (const opened of [...this.#open]) await opened.close();
    this.check();
  }

  async end(): Promise<void> {
    await this.closeAll();
    this.cluster.close();
  }
}

export interface MemberProcess {
  readonly child: ChildProcess;
  readonly lines: readonly { readonly kind: string; readonly partitions?: readonly number[]; readonly code?: string }[];
  owned(): number[];
  kill(): Promise<void>;
}

/** A member of its own process (groupMemberProcess.mjs). */
export function spawnMember(servers: string, groupId: string, topic: string, sessionTimeoutMs: number): MemberProcess {
  const script = fileURLToPath(new URL('./groupMemberProcess.mjs', import.meta.url));
  const args = [script, servers, groupId, topic, String(sessionTimeoutMs)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: MemberProcess['lines'][number][] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    child,
    lines,
    owned: () => {
      const owned = new Set<number>();
      for (const { kind, partitions = [] } of lines) {
        for (const partition of partitions) {
          if (kind === 'assigned') owned.add(partition);
          else owned.delete(partition);
        }
      }
      return [...owned].sort((a, b) => a - b);
    },
    kill: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}
