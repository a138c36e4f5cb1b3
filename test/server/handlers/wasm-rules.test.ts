import { describe, expect, it } from 'vitest';
import { readWasmModule } from '../../../src/server/handlers/wasm/wasm-sections.js';
import { verifyWasm } from '../../../src/server/handlers/wasm/wasm-rules.js';
import {
  ANSWER,
  buildWasm,
  handlerParts,
  ON_SAMPLE,
  op,
  type Signature,
  type WasmParts,
} from '../../support/wasm-builder.js';
import { useWorkerRig } from './worker-rig.js';

const MAX_PAGES = 256;
const OK = op.const(0);

const verify = (parts: WasmParts): ReturnType<typeof verifyWasm> => verifyWasm(buildWasm(parts), MAX_PAGES);
const lastLine = (parts: WasmParts): unknown => verify(parts).log.at(-1);
const imported = (name: string, type: Signature, module?: string): WasmParts =>
  handlerParts(OK, { imports: [{ name, type, ...(module !== undefined && { module }) }] });
const withFunction = (
  name: string,
  change: { name?: string; type?: Signature; body?: number[] },
): WasmParts => {
  const parts = handlerParts(OK);
  return {
    ...parts,
    functions: parts.functions!.map((one) => (one.name === name ? { ...one, ...change } : one)),
  };
};

const LOG: Signature = { params: ['i32', 'i32', 'i32'], results: [] };

describe('the verifier of modules', () => {
  it('leaves a line for every rule that a sound module keeps', () => {
    const { log, module } = verify(handlerParts(OK, { imports: [{ name: 'log', type: LOG }] }));
    expect(log.filter(({ ok }) => !ok)).toEqual([]);
    expect(log.map(({ rule }) => rule)).toEqual([
      'valid-module',
      'no-start',
      'import-allowed',
      'import-signature',
      'export-memory',
      'export-on_sample',
      'export-sample_buffer',
      'export-sample_buffer_size',
      'memory-ceiling',
      'table-ceiling',
    ]);
    expect(WebAssembly.validate(module!)).toBe(true);
  });

  it.each<[what: string, parts: WasmParts, rule: string, detail: RegExp]>([
    ['a start function', handlerParts(OK, { start: 1 }), 'no-start', /start function/],
    ['an import from elsewhere', imported('log', LOG, 'env'), 'import-allowed', /env\.log/],
    [
      'an import that is not on the list',
      imported('exec', LOG),
      'import-allowed',
      /ringbuf\.exec.*ringbuf\.log/,
    ],
    ['an import of another type', imported('log', ON_SAMPLE), 'import-signature', /\(i32, i32\) -> i32/],
    ['now_ns as i32', imported('now_ns', ANSWER), 'import-signature', /\(\) -> i64/],
    ['no memory', handlerParts(OK, { memory: null }), 'export-memory', /exports no "memory"/],
    ['a memory of another name', handlerParts(OK, { exportMemoryAs: 'mem' }), 'export-memory', /no "memory"/],
    [
      'a shared memory',
      handlerParts(OK, { memory: { min: 1, max: 2, flags: 3 } }),
      'export-memory',
      /shared between threads/,
    ],
    ['no on_sample', withFunction('on_sample', { name: 'onSample' }), 'export-on_sample', /exports no/],
    [
      'on_sample of one parameter',
      withFunction('on_sample', { type: { params: ['i32'], results: ['i32'] } }),
      'export-on_sample',
      /\(i32\) -> i32, \(i32, i32\) -> i32/,
    ],
    [
      'on_sample without an answer',
      withFunction('on_sample', { type: { params: ['i32', 'i32'], results: [] }, body: [] }),
      'export-on_sample',
      /-> \(\)/,
    ],
    [
      'sample_buffer of type i64',
      withFunction('sample_buffer', { type: { params: [], results: ['i64'] }, body: [0x42, 0] }),
      'export-sample_buffer',
      /\(\) -> i64/,
    ],
    [
      'no sample_buffer_size',
      withFunction('sample_buffer_size', { name: 'size' }),
      'export-sample_buffer_size',
      /exports no/,
    ],
    [
      'a memory that begins over the ceiling',
      handlerParts(OK, { memory: { min: MAX_PAGES + 1 } }),
      'memory-ceiling',
      /257 pages.*256/,
    ],
    ['a huge table', handlerParts(OK, { table: { min: 65_537 } }), 'table-ceiling', /65537/],
  ])('refuses %s', (_what, parts, rule, detail) => {
    expect(lastLine(parts)).toEqual({ rule, ok: false, detail: expect.stringMatching(detail) as string });
    expect(verify(parts).module).toBeUndefined();
  });

  it.each([
    ['nothing', []],
    ['text', [...Buffer.from('export default')]],
    ['another version', [0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]],
    ['a section longer than the rest', [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 200, 1, 0]],
    ['a number without end', [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 255, 255, 255, 255, 255, 1]],
    ['the same section twice', [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0]],
    ['types of the GC proposal', [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 3, 1, 0x5f, 0]],
    [
      'a vector that claims four billion items',
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 255, 255, 255, 255, 15],
    ],
  ])('refuses %s as no valid module', (_what, bytes) => {
    expect(verifyWasm(Uint8Array.from(bytes), MAX_PAGES).log).toEqual([
      expect.objectContaining({ rule: 'valid-module', ok: false }),
    ]);
  });

  it('never throws, whatever byte of a module is another', () => {
    const bytes = buildWasm(handlerParts(OK, { imports: [{ name: 'log', type: LOG }], table: { min: 1 } }));
    for (let at = 0; at < bytes.length; at++)
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const mutant = bytes.slice();
        mutant[at] = value;
        expect(verifyWasm(mutant, MAX_PAGES).log.length).toBeGreaterThan(0);
      }
  });

  it.each([
    ['none', { min: 2 }],
    ['a larger one', { min: 2, max: 65_536 }],
    ['a smaller one', { min: 2, max: 3 }],
  ])('caps the maximum of memory and tables where a module declares %s', (_what, limits) => {
    const { module } = verify(handlerParts(OK, { memory: limits, table: limits }));
    expect(WebAssembly.validate(module!)).toBe(true);
    const { memories, tables } = readWasmModule(module!);
    const max = 'max' in limits ? limits.max : 65_536;
    expect(memories).toEqual([expect.objectContaining({ min: 2, max: Math.min(max, MAX_PAGES) })]);
    expect(tables).toEqual([expect.objectContaining({ min: 2, max: Math.min(max, 65_536) })]);
  });
});

describe('a wasm handler is refused', () => {
  const rig = useWorkerRig();
  it.each<[what: string, parts: WasmParts, rule: string, detail: RegExp]>([
    ['that the engine does not take', handlerParts([0x6a]), 'valid-module', /CompileError|on_sample|#0/],
    ['that traps on an empty sample', handlerParts(op.unreachable), 'probe-trap', /unreachable/],
    ['that loops', handlerParts(op.forever), 'probe-time', /load_ms/],
    ['that answers 7', handlerParts(op.const(7)), 'probe-verdict', /answered 7 for 0/],
    [
      'that traps on its largest sample only',
      handlerParts([...op.get(1), ...op.const(4096), ...op.equal, ...op.if(op.unreachable), ...OK]),
      'probe-trap',
      /unreachable/,
    ],
    [
      'whose sample buffer is not in its memory',
      handlerParts(OK, { bufferSize: 65_536 }),
      'buffer-bounds',
      /65536/,
    ],
    ['whose sample buffer has no bytes', handlerParts(OK, { bufferSize: 0 }), 'buffer-size', /answered 0/],
    [
      'whose sample buffer is larger than a sample',
      handlerParts(OK, { bufferSize: 2 ** 24 }),
      'buffer-size',
      /2/,
    ],
    [
      'whose sample_buffer traps',
      withFunction('sample_buffer', { body: op.unreachable }),
      'instantiate',
      /unreach/,
    ],
    [
      'whose sample_buffer loops',
      withFunction('sample_buffer', { body: op.forever }),
      'load-time',
      /load_ms/,
    ],
  ])('%s', async (_what, parts, rule, detail) => {
    const map = rig.newMap();
    const module = Buffer.from(buildWasm(parts)).toString('base64');
    const config = { module, load_ms: rule.endsWith('-time') ? 3000 : 20_000 };
    const refused = map.putHandler('h', { kind: 'wasm', config, trigger: { mode: 'manual' } });
    await expect(refused).rejects.toThrow(new RegExp(`^the verifier refuses it by rule "${rule}"`));
    await expect(refused).rejects.toThrow(detail);
    await expect(refused).rejects.toThrow(/\nok {3}no-start: no start function\n/);
    expect(map.handlers.list()).toEqual([]);
  });

  it('that is not base64', async () => {
    const map = rig.newMap();
    const refused = map.putHandler('h', {
      kind: 'wasm',
      config: { module: 'AGFz*' },
      trigger: { mode: 'manual' },
    });
    await expect(refused).rejects.toThrow(/not base64/);
  });
});
