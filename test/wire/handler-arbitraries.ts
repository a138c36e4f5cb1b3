/** Every frame of `ringbuf.v1.handler`, as fast-check arbitraries. */
import fc from 'fast-check';
import {
  HandlerOp,
  type AttachedBody,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from '../../src/wire/index.js';
import { u32, u64 } from './arbitraries.js';

const bytes = fc.uint8Array({ maxLength: 100, size: 'max' });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const constant = <Value extends number | boolean>(value: Value) => fc.constant(value);

export const handlerClientFrames: fc.Arbitrary<HandlerClientFrame> = fc.oneof(
  fc.record({
    op: constant(HandlerOp.ANSWER),
    seq: u64,
    failed: constant(false),
    consumed: u32,
    stop: fc.boolean(),
  }),
  fc.record({
    op: constant(HandlerOp.ANSWER),
    seq: u64,
    failed: constant(true),
    errno: u32,
    message: fc.oneof(text, fc.constantFrom('\ufeffwith a BOM', '\u0000', '\u{1f600}')),
  }),
  fc.record({ op: constant(HandlerOp.CREDIT), seq: u64, bytes: u32 }),
);

const attachedBodies: fc.Arbitrary<AttachedBody> = fc.record({
  map: text,
  handler: text,
  incarnation: text,
  client: text,
  role: fc.constantFrom('active' as const, 'standby' as const),
  limits: fc.record({ max_batch_bytes: u32, timeout_ms: u32, max_frame_bytes: u32 }),
});

export const handlerServerFrames: fc.Arbitrary<HandlerServerFrame> = fc.oneof(
  fc.record({ op: constant(HandlerOp.ATTACHED), version: u32, body: attachedBodies }),
  fc.record({
    op: constant(HandlerOp.DELIVER),
    seq: u64,
    samples: u32,
    position: u64,
    ctx: bytes,
    run: bytes,
  }),
  fc.record({ op: constant(HandlerOp.ROLE), seq: u64, active: fc.boolean() }),
  fc.record({ op: constant(HandlerOp.CANCEL), seq: u64, errno: u32 }),
);
