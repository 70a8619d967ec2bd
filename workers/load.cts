/** Thread entry for records that go to Kafka; CommonJS for the reason told in offload.cts. */
const loaded = import('./runLoad.ts');
// Whoever runs a task is told; without one nobody asks.
loaded.catch(() => {});

type Task = Parameters<Awaited<typeof loaded>['default']>[0];

module.exports = async (task: Task) => (await loaded).default(task);
