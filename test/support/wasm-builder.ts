/** Writes small WebAssembly modules byte by byte, by the binary format and not by the code under test. */

export type Type = 'i32' | 'i64' | 'f32';
export interface Signature {
  params: Type[];
  results: Type[];
}

export interface WasmParts {
  imports?: { module?: string; name: string; type: Signature }[];
  /** Limits of the memory in pages; `null`: no memory. */
  memory?: { min: number; max?: number; flags?: number } | null;
  table?: { min: number; max?: number };
  /** The functions, exported by their names; `body` is what stands before the `end` of the function. */
  functions?: { name: string; type: Signature; locals?: number; body: number[] }[];
  /** Number of the function that runs at the start, imports counted. */
  start?: number;
  exportMemoryAs?: string;
  /** Text put into the memory, by address. */
  data?: { at: number; text: string }[];
}

const TYPES: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d };

export const ON_SAMPLE: Signature = { params: ['i32', 'i32'], results: ['i32'] };
export const ANSWER: Signature = { params: [], results: ['i32'] };

/** Instructions, as far as the tests need them. */
export const op = {
  unreachable: [0x00],
  /** Runs its body for ever. */
  forever: [0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00],
  const: (value: number): number[] => [0x41, ...signedLeb(value)],
  get: (local: number): number[] => [0x20, local],
  set: (local: number): number[] => [0x21, local],
  call: (index: number): number[] => [0x10, index],
  drop: [0x1a],
  return: [0x0f],
  add: [0x6a],
  equal: [0x46],
  load8: [0x2d, 0x00, 0x00],
  load32: [0x28, 0x02, 0x00],
  store32: [0x36, 0x02, 0x00],
  grow: [0x40, 0x00],
  if: (...body: number[][]): number[] => [0x04, 0x40, ...body.flat(), 0x0b],
};

const BUFFER = 1024;

/** The parts of a module that the verifier takes; `onSample` is the body of on_sample, whose locals 0 and 1 are ptr and len. */
export function handlerParts(
  onSample: number[],
  options: { bufferSize?: number; locals?: number } & Partial<WasmParts> = {},
): WasmParts {
  const { bufferSize = 4096, locals = 0, ...parts } = options;
  return {
    memory: { min: 1 },
    functions: [
      { name: 'on_sample', type: ON_SAMPLE, locals, body: onSample },
      { name: 'sample_buffer', type: ANSWER, body: op.const(BUFFER) },
      { name: 'sample_buffer_size', type: ANSWER, body: op.const(bufferSize) },
    ],
    ...parts,
  };
}

export function buildWasm(parts: WasmParts): Uint8Array {
  const { imports = [], memory = { min: 1 }, functions = [], data = [], exportMemoryAs = 'memory' } = parts;
  const types = [...imports.map(({ type }) => type), ...functions.map(({ type }) => type)];
  const bytes = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const section = (id: number, items: number[][]): void => {
    if (items.length === 0) return;
    const contents = [...leb(items.length), ...items.flat()];
    bytes.push(id, ...leb(contents.length), ...contents);
  };
  section(
    1,
    types.map(({ params, results }) => [
      0x60,
      ...leb(params.length),
      ...params.map((type) => TYPES[type]),
      ...leb(results.length),
      ...results.map((type) => TYPES[type]),
    ]),
  );
  section(
    2,
    imports.map(({ module = 'ringbuf', name }, index) => [
      ...text(module),
      ...text(name),
      0x00,
      ...leb(index),
    ]),
  );
  section(
    3,
    functions.map((_, index) => leb(imports.length + index)),
  );
  section(4, parts.table ? [[0x70, ...limits(parts.table)]] : []);
  section(5, memory ? [limits(memory)] : []);
  section(7, [
    ...(memory ? [[...text(exportMemoryAs), 0x02, 0x00]] : []),
    ...functions.map(({ name }, index) => [...text(name), 0x00, ...leb(imports.length + index)]),
  ]);
  if (parts.start !== undefined) bytes.push(8, ...leb(leb(parts.start).length), ...leb(parts.start));
  section(
    10,
    functions.map(({ locals = 0, body }) => {
      const code = [...(locals > 0 ? [0x01, ...leb(locals), 0x7f] : [0x00]), ...body, 0x0b];
      return [...leb(code.length), ...code];
    }),
  );
  section(
    11,
    data.map(({ at, text: value }) => [0x00, ...op.const(at), 0x0b, ...text(value)]),
  );
  return Uint8Array.from(bytes);
}

function limits({ min, max, flags }: { min: number; max?: number; flags?: number }): number[] {
  return [flags ?? (max === undefined ? 0 : 1), ...leb(min), ...(max === undefined ? [] : leb(max))];
}

function text(value: string): number[] {
  const bytes = Buffer.from(value);
  return [...leb(bytes.length), ...bytes];
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))];
}

function signedLeb(value: number): number[] {
  const low = value & 127;
  const rest = value >> 7;
  const isLast = (rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0);
  return isLast ? [low] : [low + 128, ...signedLeb(rest)];
}
