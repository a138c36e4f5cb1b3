/**
 * The frames of `ringbuf.v1.handler` as values: a WebSocket client that is a drain handler. The header is that of
 * `ringbuf.v1` (frames.ts); the ops are others. Byte layout: docs/PROTOCOL.md §11.
 */

/** The only subprotocol of an attached handler. */
export const HANDLER_SUBPROTOCOL = 'ringbuf.v1.handler';

/** The protocol version that ATTACHED states. */
export const HANDLER_PROTOCOL_VERSION = 1;

/** Bytes of a DELIVER body before its ctx. */
export const DELIVER_PREFIX_SIZE = 16;

export const HandlerOp = {
  ANSWER: 0x10,
  CREDIT: 0x11,
  ATTACHED: 0x90,
  DELIVER: 0x91,
  ROLE: 0x92,
  CANCEL: 0x93,
} as const;
export type HandlerOp = (typeof HandlerOp)[keyof typeof HandlerOp];

/** ANSWER flags. */
export const ANSWER_STOP = 1;
export const ANSWER_FAILED = 2;
/** ROLE flag: active (absent: standby). */
export const ROLE_ACTIVE = 1;

/** The client has handled the first `consumed` samples of delivery `seq`; `stop` is the verdict 1 behind them. */
export interface AnswerFrame {
  op: typeof HandlerOp.ANSWER;
  seq: bigint;
  failed: false;
  consumed: number;
  stop: boolean;
}
/** The client could not handle delivery `seq`: nothing of it is released. */
export interface FailureFrame {
  op: typeof HandlerOp.ANSWER;
  seq: bigint;
  failed: true;
  /** Positive errno: EINVAL for a verdict that is neither 0 nor 1, EIO for everything else. */
  errno: number;
  message: string;
}
/** From now on a delivery's body may have so many bytes; 0 = send me nothing. `seq` is echoed by a ROLE. */
export interface CreditFrame {
  op: typeof HandlerOp.CREDIT;
  seq: bigint;
  bytes: number;
}
export type HandlerClientFrame = AnswerFrame | FailureFrame | CreditFrame;

export type HandlerRole = 'active' | 'standby';

/** Body of ATTACHED, JSON, snake_case. */
export interface AttachedBody {
  map: string;
  handler: string;
  /** Random; positions of another incarnation mean nothing in this one. */
  incarnation: string;
  /** How operators see this client: the name that it gave, or `~N`. */
  client: string;
  role: HandlerRole;
  limits: AttachedLimits;
}
export interface AttachedLimits {
  /** Bytes of the records of one delivery; a larger sample comes alone. */
  max_batch_bytes: number;
  /** A delivery that is not answered for so many milliseconds is cancelled. */
  timeout_ms: number;
  /** Largest body of the client's frames, in bytes. */
  max_frame_bytes: number;
}

export interface AttachedFrame {
  op: typeof HandlerOp.ATTACHED;
  version: number;
  body: AttachedBody;
}
/** Samples to handle. Their records lie back to back in the ring, from `position` on. */
export interface DeliverFrame {
  op: typeof HandlerOp.DELIVER;
  /** Number of the delivery: grows over all clients of the handler. */
  seq: bigint;
  samples: number;
  position: bigint;
  /** JSON of the drain's ctx in UTF-8; empty when the caller gave none. */
  ctx: Uint8Array;
  /** Records in ring format. A view into the message, not a copy. */
  run: Uint8Array;
}
/** `seq`: that of the CREDIT that it answers, 0 for a change that nobody asked for. */
export interface RoleFrame {
  op: typeof HandlerOp.ROLE;
  seq: bigint;
  active: boolean;
}
/** Delivery `seq` is given up; an answer to it changes nothing any more, and is still owed. */
export interface CancelFrame {
  op: typeof HandlerOp.CANCEL;
  seq: bigint;
  /** Positive errno: why. */
  errno: number;
}
export type HandlerServerFrame = AttachedFrame | DeliverFrame | RoleFrame | CancelFrame;

const paddedSize = (size: number): number => Math.ceil(size / 8) * 8;

/** Bytes of a DELIVER body, which is what credit counts: everything behind the 16-byte header. */
export function deliverBodySize(ctxSize: number, runSize: number): number {
  return DELIVER_PREFIX_SIZE + paddedSize(ctxSize) + runSize;
}
