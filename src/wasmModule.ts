/**
 * The loops that run over every byte are compiled from `assembly/` folders to WebAssembly by the build: a module of a few
 * kilobytes without imports but its memory, and without a heap: whoever calls it says where everything lies.
 */
import { readFileSync } from 'node:fs';

/** What is used of it: TypeScript describes it only among what browsers have. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Memory: new (pages: { initial: number }) => WasmMemory;
  readonly Instance: new (
    module: WasmModule,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ) => { readonly exports: unknown };
};

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Compiled code; nothing else is known of it. */
export type WasmModule = { readonly [Symbol.toStringTag]: string };

const PAGE_BYTES = 65_536;
/** What a memory of 32-bit addresses can be. */
const MAX_PAGES = 65_536;

/** An instance of a module and the memory it works on. Made when first used: most threads never decode all formats. */
export class WasmInstance<Functions> {
  readonly functions: Functions;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  bytes = new Uint8Array(this.#memory.buffer);
  words = new Int32Array(this.#memory.buffer);

  constructor(module: WasmModule) {
    const instance = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    this.functions = instance.exports as Functions;
  }

  /**
   * Makes room for so many bytes in all. What is there stays; views that were made before are no longer valid.
   *
   * @throws RangeError beyond 4 GiB, or what the system gives.
   */
  reserve(bytes: number): void {
    const missing = Math.ceil(bytes / PAGE_BYTES) - this.bytes.length / PAGE_BYTES;
    if (missing <= 0) return;
    if (bytes > MAX_PAGES * PAGE_BYTES) throw new RangeError(`${bytes} bytes are more than WebAssembly can address`);
    this.#memory.grow(missing);
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Int32Array(this.#memory.buffer);
  }
}

/**
 * Compiles a module, which a thread does once.
 *
 * @param from `import.meta.url` of the caller.
 * @param path Of the module in the build, relative to the caller there.
 */
export function loadWasmModule(from: string, path: string): WasmModule {
  // Unit tests run the sources; modules are only where the build puts them.
  const base = from.endsWith('.ts') ? from.replace(/\/src\/(?!.*\/src\/)/, '/dist/src/') : from;
  return new WebAssembly.Module(readFileSync(new URL(path, base)));
}
