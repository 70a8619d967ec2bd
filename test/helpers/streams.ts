import { type CommandRun, runCommand, startCommand } from './command.ts';
import { randomName } from './topics.ts';
import { waitFor } from './wait.ts';
import { type JobOptions, type OffloadJob, query, sorted, type Workspace } from './workspace.ts';

export interface StreamReport {
  readonly rows: number;
  readonly offsets: Readonly<Record<string, { readonly from: number | null; readonly to: number }>>;
  readonly stream: {
    readonly group: string;
    readonly microBatches: number;
    readonly files: number;
    readonly badRecords: number;
    readonly stopped: boolean;
  };
}

/** A session that is over soon: a member that was killed is missed after it. */
const SHORT_SESSION = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 1_000 };

const TARGETS = ['--write-path', '--write-config', '--write-format', '--streaming-to-table'];

/** One config, its consumer group and its target, as a user has them. */
export class StreamJob {
  readonly group: string;
  readonly job: OffloadJob;

  private constructor(job: OffloadJob, group: string) {
    this.job = job;
    this.group = group;
  }

  /** @param access More properties of the topic, over those of a short session. */
  static async make(
    workspace: Workspace,
    options: JobOptions & { readonly access?: Readonly<Record<string, unknown>> },
  ): Promise<StreamJob> {
    const { access, ...rest } = options;
    const group = randomName('group');
    const accessOptions = { 'group.id': group, ...SHORT_SESSION, ...access };
    return new StreamJob(await workspace.job({ ...rest, entry: { ...rest.entry, accessOptions } }), group);
  }

  /** Takes all there is now (trigger `Once`); must exit 0. */
  async once(...more: string[]): Promise<StreamReport> {
    const result = await this.run(...more);
    if (result.code !== 0) throw new Error(`the stream ended with ${result.code ?? result.signal}:\n${result.stderr}`);
    return JSON.parse(result.stdout) as StreamReport;
  }

  run(...more: string[]) {
    return runCommand(this.#args(more), { cwd: this.job.folder });
  }

  start(more: readonly string[], env: Readonly<Record<string, string>> = {}): RunningStream {
    return new RunningStream(startCommand(this.#args(more), { cwd: this.job.folder, env }));
  }

  /** Starts one that has a micro-batch at the interval. */
  every(interval: string, ...more: string[]): RunningStream {
    return this.start(['--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', interval, ...more]);
  }

  /** Waits until the visible Parquet files hold so many values; returns them, sorted. */
  async untilValues(count: number, timeoutMs = 60_000): Promise<string[]> {
    let values: string[] = [];
    await waitFor(
      `${count} rows in ${this.job.out}`,
      async () => {
        values = (await this.job.dataFiles()).length > 0 ? await this.job.values() : [];
        return values.length >= count;
      },
      { timeoutMs },
    );
    return values;
  }

  /** `kafkaload verify` of the target. */
  async verify(...more: string[]): Promise<{ code: number | null; stdout: string }> {
    const { code, stdout, stderr } = await runCommand(['verify', '--path', this.job.out, ...more], {
      cwd: this.job.folder,
    });
    return { code, stdout: `${stdout}${stderr}` };
  }

  /** To Parquet files in `job.out`, unless another target is named. */
  #args(more: readonly string[]): string[] {
    const args = ['--conf', this.job.confPath, '--config', this.job.config, '--stream', '--report', 'json', ...more];
    return more.some((word) => TARGETS.includes(word)) ? args : [...args, '--write-path', this.job.out];
  }
}

/** A stream under way. */
export class RunningStream {
  readonly run: CommandRun;

  constructor(run: CommandRun) {
    this.run = run;
  }

  /** Waits for a line on stderr. */
  async says(text: string | RegExp, timeoutMs = 60_000): Promise<void> {
    await waitFor(
      `the stream to say ${text}`,
      async () => {
        const { stderr } = this.run.output();
        if (this.run.child.exitCode !== null) throw new Error(`the stream is over: ${stderr}`);
        return typeof text === 'string' ? stderr.includes(text) : text.test(stderr);
      },
      { timeoutMs },
    );
  }

  /** Stops it in order; it must exit 0. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<StreamReport> {
    return JSON.parse(await this.end(signal)) as StreamReport;
  }

  /** The same for one whose report is for people. @returns What it printed on stdout. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    this.run.child.kill(signal);
    const { code, stdout, stderr } = await this.run.result;
    if (code !== 0) throw new Error(`the stream ended with ${code}:\n${stderr}`);
    return stdout;
  }

  /** Kills it, as a crash would. */
  async kill(): Promise<void> {
    this.run.child.kill('SIGKILL');
    await this.run.result;
  }
}

/** Values of a column in files of any format, sorted. @param reader As `read_json`, with its options. */
export async function valuesBy(reader: string): Promise<string[]> {
  return sorted((await query(`SELECT value FROM ${reader}`)).map((row) => String(row.value)));
}
