/** Handlers that fail now and then, in each way that code of other people's can. */
import { buildWasm, handlerParts, op } from '../support/wasm-builder.js';

const now = { name: 'now_ns', type: { params: [], results: ['i64' as const] } };
const wrapI64 = [0xa7];
const shiftRight = [0x76];
const and = [0x71];

/**
 * Goes on, but for about three samples in 4096, by the clock: one hangs, one traps, one gets a wrong answer. A sample
 * that begins with a zero never fails, so that the verifier, which probes with zeros, takes the module each time.
 */
export function flakyWasm(): Uint8Array {
  const dice = [...op.call(0), ...wrapI64, ...op.const(8), ...shiftRight, ...op.const(4095), ...and];
  const body = [
    ...[...op.get(0), ...op.load8, ...op.const(0), ...op.equal, ...op.if(op.const(0), op.return)],
    ...dice,
    ...op.set(2),
    ...[...op.get(2), ...op.const(1), ...op.equal, ...op.if(op.forever)],
    ...[...op.get(2), ...op.const(2), ...op.equal, ...op.if(op.unreachable)],
    ...[...op.get(2), ...op.const(3), ...op.equal, ...op.if(op.const(2), op.return)],
    ...op.const(0),
  ];
  const parts = handlerParts(body, { locals: 1, imports: [now] });
  return buildWasm({ ...parts });
}

/** Emits what it gets into the map of `ctx.options.emit`, if there is one, and fails now and then. */
export const FLAKY_MODULE = `
  const kept = [];
  const acts = [
    () => { for (;;); },
    () => { throw new Error('by intent'); },
    () => process.exit(3),
    () => { void Promise.reject(new Error('nobody listens')); return 0; },
    () => { kept.push(Buffer.alloc(1e9)); return 0; },
    () => 2,
    () => Promise.resolve(0),
  ];
  export default (sample, ctx) => {
    if (ctx.options.emit !== undefined && ctx.emit(ctx.options.emit, sample) === -28) return 1;
    const dice = Math.floor(Math.random() * ctx.options.oneIn);
    return dice < acts.length ? acts[dice]() : 0;
  };
`;
