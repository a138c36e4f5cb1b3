/**
 * The frames of `ringbuf.v1` as values. Byte layout: docs/PROTOCOL.md.
 *
 *     0      1       2        4          8                16
 *     +------+-------+--------+----------+----------------+--------
 *     | op   | flags | 0      | arg      | seq            | body
 *     | u8   | u8    | u16    | u32      | u64            |
 *     +------+-------+--------+----------+----------------+--------
 *
 * The sequence number of OUTPUT counts 1, 2, 3… and is a JS number; in every other frame `seq` is an opaque u64 that
 * the reply echoes, hence a BigInt, as are positions.
 */

/** Bytes before the body. */
export const FRAME_HEADER_SIZE = 16;

/** The protocol version that WELCOME states. */
export const PROTOCOL_VERSION = 1;

/** The subprotocols that the daemon selects; none offered means plain. */
export const Subprotocol = {
  BINARY: 'ringbuf.v1',
  JSON: 'ringbuf.v1.json',
  PLAIN: 'ringbuf.v1.plain',
} as const;
export type Subprotocol = (typeof Subprotocol)[keyof typeof Subprotocol];

/** A browser offers `bearer.<base64url of the token>` beside the subprotocol; it is never selected. */
export const BEARER_SUBPROTOCOL_PREFIX = 'bearer.';

export const Op = {
  OUTPUT: 0x01,
  RESERVE: 0x02,
  SUBMIT: 0x03,
  DISCARD: 0x04,
  WATCH: 0x05,
  QUERY: 0x06,
  WRITE: 0x07,
  COMMIT: 0x08,
  WELCOME: 0x80,
  ACK: 0x81,
  ERROR: 0x82,
  RESERVED: 0x83,
  WAKEUP: 0x84,
  INFO: 0x85,
  DONE: 0x86,
} as const;
export type Op = (typeof Op)[keyof typeof Op];
export type OpName = keyof typeof Op;

/** What a producer may send. */
export type ClientOp = Extract<Op, 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8>;

const opNames = new Map<number, OpName>(Object.entries(Op).map(([name, op]) => [op, name as OpName]));

/** The name of an op as in the protocol table, `undefined` for a number that is none. */
export function opName(op: number): OpName | undefined {
  return opNames.get(op);
}

/** OUTPUT flags. */
export const OUTPUT_ATOMIC = 1;
export const OUTPUT_RESEND = 2;
/** WATCH flag: on (absent: off). */
export const WATCH_ON = 1;
/** WAKEUP flags. */
export const WAKEUP_FORCED = 1;
export const WAKEUP_WRITABLE = 2;
export const WAKEUP_AT_ONCE = 4;

/** A run of samples: all or none if `atomic`; `resend` says that this very frame was sent before. */
export interface OutputFrame {
  op: typeof Op.OUTPUT;
  seq: number;
  atomic: boolean;
  resend: boolean;
  /** Records back to back, not yet checked. A view into the message, not a copy. */
  run: Uint8Array;
}
export interface ReserveFrame {
  op: typeof Op.RESERVE;
  seq: bigint;
  size: number;
}
export interface SubmitFrame {
  op: typeof Op.SUBMIT;
  seq: bigint;
  position: bigint;
  payload: Uint8Array;
}
export interface DiscardFrame {
  op: typeof Op.DISCARD;
  seq: bigint;
  position: bigint;
}
/** `minFree`: wake me when at least so many bytes are free; 0 = at every wake, writable or not. */
export interface WatchFrame {
  op: typeof Op.WATCH;
  seq: bigint;
  on: boolean;
  minFree: number;
}
export interface QueryFrame {
  op: typeof Op.QUERY;
  seq: bigint;
}
/** Raw bytes into the data area of a direct map, which is mapped twice. */
export interface WriteFrame {
  op: typeof Op.WRITE;
  seq: bigint;
  offset: bigint;
  bytes: Uint8Array;
}
/** A raw producer position for a direct map, stored as it is. */
export interface CommitFrame {
  op: typeof Op.COMMIT;
  seq: bigint;
  producerPos: bigint;
}

export type ClientFrame =
  | OutputFrame
  | ReserveFrame
  | SubmitFrame
  | DiscardFrame
  | WatchFrame
  | QueryFrame
  | WriteFrame
  | CommitFrame;

/** What an acknowledgement survives: nothing, a kill of the daemon, a loss of power. An ACK has the index. */
export const DURABILITY_LEVELS = ['memory', 'written', 'synced'] as const;
/** Bits of an ACK's flags that hold it. */
export const ACK_DURABILITY = 3;
export type DurabilityLevel = (typeof DURABILITY_LEVELS)[number];

/** Body of WELCOME, JSON, snake_case, u64 as decimal strings. */
export interface WelcomeBody {
  map: string;
  /** Random; a new one means that the content, and every producer's sequence, started anew. */
  incarnation: string;
  max_entries: number;
  mode: 'managed' | 'direct';
  durability: DurabilityLevel;
  /** The producer id, null for an anonymous connection. */
  producer: string | null;
  /** Whether the daemon still had the state of this producer id. */
  resumed: boolean;
  /** Samples that it already holds of the OUTPUT after `seq`. */
  partial: number;
  /** End of this producer's last acknowledged record. */
  acked_pos: string;
  producer_pos: string;
  consumer_pos: string;
  limits: WelcomeLimits;
}
export interface WelcomeLimits {
  /** Largest frame body, in bytes, the 16-byte header not counted. */
  max_frame_bytes: number;
  /** Open reservations of one connection. */
  max_reservations: number;
  /** A reservation is discarded after so many milliseconds. */
  lease_ms: number;
}

export interface WelcomeFrame {
  op: typeof Op.WELCOME;
  version: number;
  /** Last accepted OUTPUT. */
  seq: number;
  body: WelcomeBody;
}
/** Everything up to OUTPUT `seq` is in the ring at the map's durability. */
export interface AckFrame {
  op: typeof Op.ACK;
  seq: number;
  /** Of the map: what everything that this acknowledges survives. */
  durability: DurabilityLevel;
  /** End of this producer's last acknowledged record. */
  producerPos: bigint;
  consumerPos: bigint;
}
export interface ErrorFrame {
  op: typeof Op.ERROR;
  /** The op that was refused; 0 when the frame could not be read so far. */
  request: number;
  /** Positive errno. */
  errno: number;
  seq: bigint;
  /** Samples accepted of that OUTPUT, over all its resends. */
  accepted: number;
  /** 0: the daemon has no advice. */
  retryAfterMs: number;
  producerPos: bigint;
  consumerPos: bigint;
  message: string;
}
export interface ReservedFrame {
  op: typeof Op.RESERVED;
  seq: bigint;
  position: bigint;
}
export interface WakeupFrame {
  op: typeof Op.WAKEUP;
  forced: boolean;
  writable: boolean;
  atOnce: boolean;
  /** Samples drained, summed over coalesced wakeups. */
  drained: number;
  /** Number of the newest drain that it reports. */
  seq: bigint;
  producerPos: bigint;
  consumerPos: bigint;
}
export interface InfoFrame {
  op: typeof Op.INFO;
  seq: bigint;
  availData: bigint;
  ringSize: bigint;
  consumerPos: bigint;
  producerPos: bigint;
}
export interface DoneFrame {
  op: typeof Op.DONE;
  seq: bigint;
  producerPos: bigint;
  consumerPos: bigint;
}

export type ServerFrame =
  WelcomeFrame | AckFrame | ErrorFrame | ReservedFrame | WakeupFrame | InfoFrame | DoneFrame;

/** Why bytes are not a frame. `error` is stable; the message is for people. */
export interface FrameError {
  error: FrameErrorCode;
  message: string;
  /** The op, as far as it could be read; 0 otherwise. */
  op: number;
  /** The seq, as far as it could be read; 0n otherwise. */
  seq: bigint;
  /** EPROTO: the connection cannot go on. EINVAL: the frame is understood and refused. */
  errno: 'EPROTO' | 'EINVAL';
}

export type FrameErrorCode =
  | 'FRAME_TRUNCATED'
  | 'FRAME_UNKNOWN_OP'
  | 'FRAME_UNKNOWN_FLAGS'
  | 'FRAME_RESERVED_NOT_ZERO'
  | 'FRAME_BODY_SIZE'
  | 'FRAME_SEQ_RANGE'
  | 'FRAME_BAD_JSON'
  | 'FRAME_BAD_FIELD';

export function isFrameError<Frame extends object>(result: Frame | FrameError): result is FrameError {
  return 'error' in result;
}
