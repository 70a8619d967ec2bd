/**
 * Thread entry. CommonJS, and the rest by `import()`: Piscina loads its entry with `require`, and where that loads an
 * ES module and the thread is ended meanwhile, Node 20 aborts the whole process ("IsGraphAsync must be used on an
 * instantiated module") instead of ending the thread.
 */
const loaded = import('./runTask.ts');
// Whoever runs a task is told; without one nobody asks.
loaded.catch(() => {});

type Call = Parameters<Awaited<typeof loaded>['default']>[0];

module.exports = async (call: Call) => (await loaded).default(call);
