import type { Job } from '../../config/job.ts';
import type { Log } from '../../coordinator/log.ts';
import type { ProgressOutput } from '../../coordinator/progress.ts';
import type { Observe } from '../types.ts';
import { createEventLog } from './eventLog.ts';
import { History, SAMPLE_EVERY_MS } from './history.ts';
import { type Listening, listen, type Routes } from './httpServer.ts';
import { createMetrics } from './metrics.ts';
import { showProgressLine } from './progressLine.ts';
import { metricsRoutes, pageRoutes } from './routes.ts';
import { shownJob } from './shownJob.ts';
import { StatusKeeper } from './status.ts';
import { type ObserverClock, type StreamStatus, systemTime } from './types.ts';

export interface ObserverOptions {
  readonly job: Job;
  readonly log: Log;
  readonly stderr: ProgressOutput & { readonly columns?: number };
  readonly clock?: ObserverClock;
}

export interface StreamObserver {
  readonly observe: Observe;
  status(): StreamStatus;
  /** Where metrics and page are; null: nowhere. */
  readonly addresses: { readonly metrics: string | null; readonly page: string | null };
  /** Ends the progress line and the servers. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * What shows a stream: logs, the progress line, metrics and the page. Make it before the group is joined and before
 * threads are started: a port that cannot be had is an error of the start, and the retries of all threads are counted.
 *
 * @throws OffloadError IO_FAILED where a port cannot be had, USAGE where `--listen` names no address of this machine.
 */
export async function createObserver(options: ObserverOptions): Promise<StreamObserver> {
  const { job, log, stderr, clock = systemTime } = options;
  const keeper = new StatusKeeper(job, clock);
  const status = (): StreamStatus => keeper.snapshot();
  const group = job.stream?.group?.groupId ?? null;
  const observers: Observe[] = [
    (event) => keeper.apply(event),
    createEventLog(log, group, clock, () => keeper.partitions.totalLag()),
  ];
  const { metricsPort = null, uiPort = null, listenHost = '', showProgress = false } = job.stream ?? {};
  const servers = new Map<number, { option: string; routes: Routes }>();
  const add = (port: number, option: string, routes: Routes): void => {
    const other = servers.get(port);
    servers.set(
      port,
      other ? { option: `${other.option}, ${option}`, routes: { ...other.routes, ...routes } } : { option, routes },
    );
  };
  if (metricsPort !== null) {
    const metrics = await createMetrics(status);
    observers.push(metrics.observe);
    add(metricsPort, '--metrics-port', metricsRoutes(keeper, job, metrics));
  }
  let sampling: NodeJS.Timeout | undefined;
  if (uiPort !== null) {
    const history = new History();
    sampling = setInterval(() => history.add(status()), SAMPLE_EVERY_MS);
    sampling.unref();
    add(uiPort, '--ui-port', pageRoutes(keeper, history, shownJob(job)));
  }
  const listening = new Map<number, Listening>();
  let endProgress = (): void => {};
  const close = async (): Promise<void> => {
    endProgress();
    clearInterval(sampling);
    await Promise.all([...listening.values()].map((server) => server.close()));
  };
  try {
    for (const [port, { option, routes }] of servers)
      listening.set(port, await listen(option, { host: listenHost, port }, routes));
  } catch (error) {
    await close();
    throw error;
  }
  const urlOf = (port: number | null): string | null => (port === null ? null : (listening.get(port)?.url ?? null));
  const [metricsUrl, pageUrl] = [urlOf(metricsPort), urlOf(uiPort)];
  if (metricsUrl !== null) log.info(`metrics are at ${metricsUrl}/metrics, health at /healthz and /readyz`);
  if (pageUrl !== null) log.info(`the page is at ${pageUrl}/`);
  if (showProgress) endProgress = showProgressLine({ stderr, isTerminalShared: job.sink.kind === 'console', status });
  return {
    observe: (event) => {
      for (const observe of observers) observe(event);
    },
    status,
    addresses: { metrics: metricsUrl, page: pageUrl },
    close,
  };
}
