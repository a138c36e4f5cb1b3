/** The part of the JS API that ringbufd uses: neither TypeScript's ES libraries nor @types/node 20 declare it. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(
      module: Module,
      imports: Record<string, Record<string, Memory | ((...args: never[]) => unknown)>>,
    );
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    /** @param descriptor.initial in pages of 64 KiB */
    constructor(descriptor: { initial: number });
    readonly buffer: ArrayBuffer;
  }
  class RuntimeError extends Error {}
  function validate(bytes: Uint8Array): boolean;
  function compile(bytes: Uint8Array): Promise<Module>;
}
