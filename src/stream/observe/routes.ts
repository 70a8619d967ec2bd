import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { type HealthAnswer, liveness, readiness } from './health.ts';
import type { History } from './history.ts';
import { type Answer, json, plain, type Routes } from './httpServer.ts';
import type { Metrics } from './metrics.ts';
import type { ShownJob } from './shownJob.ts';
import type { StatusKeeper, StreamJob } from './status.ts';

/** Files of the page; they lie beside this one in `src` as in `dist`. */
const PAGE_FILES = [
  ...['index.html', 'page.css', 'icon.svg', 'page.js'],
  ...['commits.js', 'dom.js', 'draw.js', 'partitions.js', 'series.js', 'tiles.js', 'words.js'],
];
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.js': 'text/javascript; charset=utf-8',
};

export function metricsRoutes(keeper: StatusKeeper, job: StreamJob, metrics: Metrics): Routes {
  return {
    '/metrics': async () => ({ contentType: metrics.contentType, body: await metrics.text() }),
    '/healthz': () => healthAnswer(liveness(keeper.snapshot(), job)),
    '/readyz': () => healthAnswer(readiness(keeper.snapshot())),
  };
}

function healthAnswer({ isGood, why }: HealthAnswer): Answer {
  return plain(isGood ? 200 : 503, `${isGood ? 'ok' : 'not ok'}: ${why}`);
}

export function pageRoutes(keeper: StatusKeeper, history: History, job: ShownJob): Routes {
  const files = PAGE_FILES.map((name) => {
    const contentType = CONTENT_TYPES[extname(name)] ?? 'application/octet-stream';
    const read = async (): Promise<Answer> => {
      return { contentType, body: await readFile(new URL(`page/${name}`, import.meta.url)) };
    };
    return [name === 'index.html' ? '/' : `/${name}`, read];
  });
  return {
    ...(Object.fromEntries(files) as Routes),
    // Only what came since the asker's last answer, but all of it when the partitions are others.
    '/status.json': (query) => {
      const status = keeper.snapshot();
      const assignment = keeper.partitions.version;
      const sample = query.get('assignment') === String(assignment) ? Number(query.get('sample')) || 0 : 0;
      const batch = Number(query.get('batch')) || 0;
      return json({
        ...status,
        assignment,
        samples: history.since(sample, status.partitions),
        commits: keeper.commits.filter(({ number }) => number > batch),
      });
    },
    '/job.json': () => json(job),
  };
}
