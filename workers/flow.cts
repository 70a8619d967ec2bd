/** Thread entry for rows that are passed on as they come; CommonJS for the reason told in offload.cts. */
const loaded = import('./runFlow.ts');
// Whoever runs a task is told; without one nobody asks.
loaded.catch(() => {});

type Task = Parameters<Awaited<typeof loaded>['default']>[0];

module.exports = async (task: Task) => (await loaded).default(task);
