/**
 * JSON mode (`ringbuf.v1.json`): one object a message, `op` in lower case, fields in snake_case, u64 as decimal strings
 * (numbers accepted), a sample as a JSON string or `{"b64":"…"}`. The same frames as the binary codec's.
 */
import { errnoName } from '../ring/errno.js';
import { BPF_RINGBUF_HDR_SZ } from '../ring/layout.js';
import { decodeBase64 } from './base64.js';
import {
  Op,
  opName,
  type ClientFrame,
  type FrameError,
  type FrameErrorCode,
  type OutputFrame,
  type ServerFrame,
} from './frames.js';
import { buildRun, runSize } from './run-builder.js';

const U64_MAX = 2n ** 64n - 1n;
const U32_MAX = 2 ** 32 - 1;

type Fields = Record<string, unknown>;

/** Characters shown of a field's name, which the sender chose. */
const MAX_SHOWN_NAME = 64;

/** Thrown inside this file only; turned into a FrameError at its edge. */
class BadField extends Error {
  constructor(
    readonly field: string,
    expected: string,
  ) {
    super(
      `field "${field.length > MAX_SHOWN_NAME ? `${field.slice(0, MAX_SHOWN_NAME)}…` : field}" must be ${expected}`,
    );
  }
}

/**
 * Reads one JSON message of a producer.
 * @param maxRunBytes bound on the run that the samples of an `output` become; over it the frame is refused
 */
export function decodeClientJson(text: string, maxRunBytes: number): ClientFrame | FrameError {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse('FRAME_BAD_JSON', `not JSON: ${(error as Error).message}`, 0, 0n, 'EPROTO');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('FRAME_BAD_JSON', 'a message is one JSON object', 0, 0n, 'EPROTO');
  const fields = value as Fields;
  const op = typeof fields.op === 'string' ? clientOps.get(fields.op) : undefined;
  if (op === undefined)
    return refuse(
      'FRAME_UNKNOWN_OP',
      `"op" must be one of ${[...clientOps.keys()].join(', ')}`,
      0,
      0n,
      'EPROTO',
    );
  let seq = 0n;
  try {
    seq = u64(fields, 'seq', op === Op.OUTPUT ? undefined : 0n);
    const allowed = fieldsOf[op];
    for (const name of Object.keys(fields))
      if (name !== 'op' && name !== 'seq' && !allowed.includes(name))
        throw new BadField(name, `left out: "${String(fields.op)}" has no such field`);
    return clientFrame(op, seq, fields, maxRunBytes);
  } catch (error) {
    if (!(error instanceof BadField)) throw error;
    // Without its number an output cannot be told from the next one: the connection cannot go on.
    const errno = op === Op.OUTPUT && error.field === 'seq' ? 'EPROTO' : 'EINVAL';
    return refuse('FRAME_BAD_FIELD', error.message, op, seq, errno);
  }
}

type ClientOp = ClientFrame['op'];

const clientOps = new Map<string, ClientOp>([
  ['output', Op.OUTPUT],
  ['reserve', Op.RESERVE],
  ['submit', Op.SUBMIT],
  ['discard', Op.DISCARD],
  ['watch', Op.WATCH],
  ['query', Op.QUERY],
  ['write', Op.WRITE],
  ['commit', Op.COMMIT],
]);

const fieldsOf: Record<ClientOp, readonly string[]> = {
  [Op.OUTPUT]: ['samples', 'atomic', 'resend'],
  [Op.RESERVE]: ['size'],
  [Op.SUBMIT]: ['position', 'sample'],
  [Op.DISCARD]: ['position'],
  [Op.WATCH]: ['on', 'min_free'],
  [Op.QUERY]: [],
  [Op.WRITE]: ['offset', 'bytes'],
  [Op.COMMIT]: ['producer_pos'],
};

function clientFrame(op: ClientOp, seq: bigint, fields: Fields, maxRunBytes: number): ClientFrame {
  switch (op) {
    case Op.OUTPUT:
      return outputFrame(seq, fields, maxRunBytes);
    case Op.RESERVE:
      return { op, seq, size: u32(fields, 'size') };
    case Op.SUBMIT:
      return { op, seq, position: u64(fields, 'position'), payload: sample(fields.sample, 'sample') };
    case Op.DISCARD:
      return { op, seq, position: u64(fields, 'position') };
    case Op.WATCH:
      return { op, seq, on: bool(fields, 'on', true), minFree: u32(fields, 'min_free', 0) };
    case Op.QUERY:
      return { op, seq };
    case Op.WRITE:
      return { op, seq, offset: u64(fields, 'offset'), bytes: sample(fields.bytes, 'bytes') };
    case Op.COMMIT:
      return { op, seq, producerPos: u64(fields, 'producer_pos') };
  }
}

function outputFrame(seq: bigint, fields: Fields, maxRunBytes: number): OutputFrame {
  if (seq > BigInt(Number.MAX_SAFE_INTEGER)) throw new BadField('seq', 'at most 2^53-1');
  if (!Array.isArray(fields.samples)) throw new BadField('samples', 'an array of samples');
  // Before anything is made of them: even empty samples become records.
  if (fields.samples.length * BPF_RINGBUF_HDR_SZ > maxRunBytes)
    throw new BadField(
      'samples',
      `at most ${maxRunBytes} bytes as records, not ${fields.samples.length} samples`,
    );
  const samples = fields.samples.map((value, index) => sample(value, `samples[${index}]`));
  const size = runSize(samples);
  if (size > maxRunBytes)
    throw new BadField('samples', `at most ${maxRunBytes} bytes as records, not ${size}`);
  return {
    op: Op.OUTPUT,
    seq: Number(seq),
    atomic: bool(fields, 'atomic', false),
    resend: bool(fields, 'resend', false),
    run: buildRun(samples),
  };
}

function sample(value: unknown, field: string): Uint8Array {
  // A lone surrogate ("\ud800") has no UTF-8 form: encoding it would silently store another character.
  if (typeof value === 'string' && !/\p{Surrogate}/u.test(value)) return new TextEncoder().encode(value);
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 1) {
    const { b64 } = value as { b64?: unknown };
    const bytes = typeof b64 === 'string' ? decodeBase64(b64) : undefined;
    if (bytes !== undefined) return bytes;
  }
  throw new BadField(field, 'a string (UTF-8 text) or {"b64":"…"}');
}

function u64(fields: Fields, name: string, fallback?: bigint): bigint {
  const value = fields[name];
  if (value === undefined && fallback !== undefined) return fallback;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) {
    const parsed = BigInt(value);
    if (parsed <= U64_MAX) return parsed;
  }
  throw new BadField(name, 'a u64, as a decimal string or a number');
}

function u32(fields: Fields, name: string, fallback?: number): number {
  const value = u64(fields, name, fallback === undefined ? undefined : BigInt(fallback));
  if (value > BigInt(U32_MAX)) throw new BadField(name, 'at most 4294967295');
  return Number(value);
}

function bool(fields: Fields, name: string, fallback: boolean): boolean {
  const value = fields[name] === undefined ? fallback : fields[name];
  if (typeof value !== 'boolean') throw new BadField(name, 'true or false');
  return value;
}

function refuse(
  error: FrameErrorCode,
  message: string,
  op: number,
  seq: bigint,
  errno: FrameError['errno'],
): FrameError {
  return { error, message, op, seq, errno };
}

/** One JSON message of the daemon. */
export function encodeServerJson(frame: ServerFrame): string {
  return JSON.stringify(serverFields(frame));
}

function serverFields(frame: ServerFrame): Fields {
  const head = { op: opName(frame.op)!.toLowerCase(), seq: String(frame.seq) };
  switch (frame.op) {
    case Op.WELCOME:
      return { ...head, version: frame.version, ...frame.body };
    case Op.ERROR:
      return {
        op: head.op,
        request: opName(frame.request)?.toLowerCase() ?? null,
        errno: errnoName(frame.errno) ?? String(frame.errno),
        seq: head.seq,
        accepted: frame.accepted,
        retry_after_ms: frame.retryAfterMs,
        ...positions(frame),
        message: frame.message,
      };
    case Op.RESERVED:
      return { ...head, position: String(frame.position) };
    case Op.WAKEUP:
      return {
        ...head,
        forced: frame.forced,
        writable: frame.writable,
        at_once: frame.atOnce,
        drained: frame.drained,
        ...positions(frame),
      };
    case Op.INFO:
      return {
        ...head,
        avail_data: String(frame.availData),
        ring_size: String(frame.ringSize),
        consumer_pos: String(frame.consumerPos),
        producer_pos: String(frame.producerPos),
      };
    case Op.ACK:
      return { ...head, durability: frame.durability, ...positions(frame) };
    case Op.DONE:
      return { ...head, ...positions(frame) };
  }
}

function positions(frame: { producerPos: bigint; consumerPos: bigint }): Fields {
  return { producer_pos: String(frame.producerPos), consumer_pos: String(frame.consumerPos) };
}
