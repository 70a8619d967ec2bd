/** `npm run bench`: the micro benches, then the whole. `npm run bench -- decode|encode|produce|e2e|load|transform` runs one of them. */
import { run as runDecode } from './decode.bench.ts';
import { run as runEndToEnd } from './e2e.ts';
import { run as runEncode } from './encode.bench.ts';
import { run as runLoad } from './load.ts';
import { run as runProduce } from './produce.ts';
import { run as runTransform } from './transform.ts';

const [only, messages] = process.argv.slice(2);
const benches: Readonly<Record<string, () => Promise<void>>> = {
  decode: runDecode,
  encode: runEncode,
  produce: runProduce,
  e2e: () => runEndToEnd(messages === undefined ? undefined : Number(messages)),
  load: () => runLoad(messages === undefined ? undefined : Number(messages)),
  transform: () => runTransform(messages === undefined ? undefined : Number(messages)),
};
const chosen = only === undefined ? Object.keys(benches) : [only];
for (const name of chosen) {
  const bench = benches[name];
  if (!bench) {
    console.error(`there is no bench ${name}; there are ${Object.keys(benches).join(', ')}`);
    process.exit(2);
  }
  console.log(`\n--- ${name}`);
  await bench();
}
