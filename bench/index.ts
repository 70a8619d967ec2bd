/** `npm run bench -- ...`; see README.md beside this file. Exit status: 1 a bench failed or is slower, 2 wrong arguments. */
import { DEFAULTS, parseArguments, type Request, UsageError } from './arguments.ts';

/** Imported when run: some load the whole product, others nothing of it. */
async function carryOut(request: Request): Promise<boolean> {
  switch (request.kind) {
    case 'print':
      process.stdout.write(request.text);
      return true;
    case 'all':
      await carryOut({ kind: 'micro', names: ['decode', 'encode', 'produce'] });
      await carryOut({ kind: 'e2e', options: DEFAULTS.e2e });
      await carryOut({ kind: 'load', options: DEFAULTS.load });
      return carryOut({ kind: 'transform', options: DEFAULTS.transform });
    case 'micro':
      await (await import('./micro/micro.ts')).runMicro(request.names);
      return true;
    case 'e2e':
      await (await import('./whole/e2e.ts')).runEndToEnd(request.options);
      return true;
    case 'transform':
      await (await import('./whole/transform.ts')).runTransform(request.options);
      return true;
    case 'trace':
      await (await import('./trace/trace.ts')).runTrace(request.options);
      return true;
    case 'load':
      await (await import('./whole/load.ts')).runLoad(request.options);
      return true;
    case 'peers':
      await (await import('./peers/peers.ts')).runPeers(request.options);
      return true;
    case 'sweeps':
      await (await import('./sweeps/sweeps.ts')).runSweeps(request.options);
      return true;
    case 'stream':
      await (await import('./stream/stream.ts')).runStreamBench(request.options);
      return true;
    case 'compare':
      return (await import('./compare/run.ts')).runCompare(request.base, request.next);
    case 'report': {
      const { writeReport } = await import('./report/write.ts');
      console.log(`written to ${writeReport()}`);
      (await import('./goals/print.ts')).printGoals();
      return true;
    }
  }
}

// Ends what is left of a bench by the handlers of `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

try {
  if (!(await carryOut(parseArguments(process.argv.slice(2))))) process.exitCode = 1;
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = isUsage ? 2 : 1;
}
