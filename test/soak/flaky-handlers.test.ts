import { describe, expect, it } from 'vitest';
import { flakyWasm } from './flaky-handlers.js';

interface FlakyExports {
  memory: WebAssembly.Memory;
  sample_buffer: () => number;
  on_sample: (ptr: number, length: number) => number;
}

/** What the handler answers to `sample` when the clock's dice fall on `side`. */
function verdictOf(sample: string, side: number): number {
  const imports = { ringbuf: { now_ns: () => BigInt(side << 8) } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(flakyWasm()), imports);
  const { memory, sample_buffer, on_sample } = exports as unknown as FlakyExports;
  new Uint8Array(memory.buffer, sample_buffer()).set(Buffer.from(sample));
  return on_sample(sample_buffer(), sample.length);
}

describe('the flaky WebAssembly handler', () => {
  it('goes on for most samples', () => {
    expect(verdictOf('aaa', 0)).toBe(0);
    expect(verdictOf('aaa', 4)).toBe(0);
  });

  it('fails for some, by the clock', () => {
    expect(() => verdictOf('aaa', 2)).toThrow(WebAssembly.RuntimeError);
    expect(verdictOf('aaa', 3)).toBe(2);
  });

  // Else the verifier refuses, about once in a hundred PUTs, a module that was meant to fail later.
  it("does not fail on what the verifier probes with, whatever the clock's dice say", () => {
    for (const sample of ['', '\0', '\0'.repeat(64)])
      for (const side of [1, 2, 3]) expect(verdictOf(sample, side)).toBe(0);
  });
});
