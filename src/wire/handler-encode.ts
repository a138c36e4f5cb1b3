import { writeU32, writeU64 } from './bytes.js';
import { startFrame } from './frame-header.js';
import { FRAME_HEADER_SIZE } from './frames.js';
import {
  ANSWER_FAILED,
  ANSWER_STOP,
  DELIVER_PREFIX_SIZE,
  deliverBodySize,
  HandlerOp,
  ROLE_ACTIVE,
  type DeliverFrame,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from './handler-frames.js';

const HEADER = FRAME_HEADER_SIZE;

/** The bytes of an attached client's frame, ready to be sent as one binary message. */
export function encodeHandlerClientFrame(frame: HandlerClientFrame): Uint8Array {
  if (frame.op === HandlerOp.CREDIT) return startFrame(frame.op, 0, frame.bytes, frame.seq, 0);
  if (!frame.failed) return startFrame(frame.op, frame.stop ? ANSWER_STOP : 0, frame.consumed, frame.seq, 0);
  const message = new TextEncoder().encode(frame.message);
  const bytes = startFrame(frame.op, ANSWER_FAILED, frame.errno, frame.seq, message.length);
  bytes.set(message, HEADER);
  return bytes;
}

/** The bytes of a daemon's frame, ready to be sent as one binary message. */
export function encodeHandlerServerFrame(frame: HandlerServerFrame): Uint8Array {
  switch (frame.op) {
    case HandlerOp.ATTACHED: {
      const body = new TextEncoder().encode(JSON.stringify(frame.body));
      const bytes = startFrame(frame.op, 0, frame.version, 0n, body.length);
      bytes.set(body, HEADER);
      return bytes;
    }
    case HandlerOp.DELIVER: {
      const { bytes, runAt } = startDeliver(frame, frame.run.length);
      bytes.set(frame.run, runAt);
      return bytes;
    }
    case HandlerOp.ROLE:
      return startFrame(frame.op, frame.active ? ROLE_ACTIVE : 0, 0, frame.seq, 0);
    case HandlerOp.CANCEL:
      return startFrame(frame.op, 0, frame.errno, frame.seq, 0);
  }
}

/**
 * A DELIVER message whose run is still to be written, so that samples are copied once, from the ring into the message.
 * @param runSize bytes of the run
 * @returns the message, zero from `runAt` on
 */
export function startDeliver(
  head: Omit<DeliverFrame, 'op' | 'run'>,
  runSize: number,
): { bytes: Uint8Array; runAt: number } {
  const { seq, samples, position, ctx } = head;
  const bytes = startFrame(HandlerOp.DELIVER, 0, samples, seq, deliverBodySize(ctx.length, runSize));
  writeU64(bytes, HEADER, position);
  writeU32(bytes, HEADER + 8, ctx.length);
  bytes.set(ctx, HEADER + DELIVER_PREFIX_SIZE);
  return { bytes, runAt: bytes.length - runSize };
}
