/** Thread entry for rows from files to files; CommonJS for the reason told in offload.cts. */
const loaded = import('./runConvert.ts');
// Whoever runs a task is told; without one nobody asks.
loaded.catch(() => {});

type Call = Parameters<Awaited<typeof loaded>['default']>[0];

module.exports = async (call: Call) => (await loaded).default(call);
