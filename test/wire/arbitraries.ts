/** Every frame of the protocol, as fast-check arbitraries. */
import fc from 'fast-check';
import {
  DURABILITY_LEVELS,
  Op,
  type ClientFrame,
  type ServerFrame,
  type WelcomeBody,
} from '../../src/wire/index.js';

export const u32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
);

export const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
);

/** Sequence numbers of OUTPUT: safe integers. */
export const seq = fc.oneof(
  fc.nat(1000),
  fc.maxSafeNat(),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);

const bytes = fc.uint8Array({ maxLength: 100, size: 'max' });
/** Text of all scripts. */
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const decimal = u64.map(String);
const constant = <Value extends number>(value: Value) => fc.constant(value);

export const clientFrames: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({ op: constant(Op.OUTPUT), seq, atomic: fc.boolean(), resend: fc.boolean(), run: bytes }),
  fc.record({ op: constant(Op.RESERVE), seq: u64, size: u32 }),
  fc.record({ op: constant(Op.SUBMIT), seq: u64, position: u64, payload: bytes }),
  fc.record({ op: constant(Op.DISCARD), seq: u64, position: u64 }),
  fc.record({ op: constant(Op.WATCH), seq: u64, on: fc.boolean(), minFree: u32 }),
  fc.record({ op: constant(Op.QUERY), seq: u64 }),
  fc.record({ op: constant(Op.WRITE), seq: u64, offset: u64, bytes }),
  fc.record({ op: constant(Op.COMMIT), seq: u64, producerPos: u64 }),
);

export const welcomeBodies: fc.Arbitrary<WelcomeBody> = fc.record({
  map: text,
  incarnation: text,
  max_entries: u32,
  mode: fc.constantFrom('managed' as const, 'direct' as const),
  durability: fc.constantFrom('memory' as const, 'written' as const, 'synced' as const),
  producer: fc.oneof(fc.constant(null), text),
  resumed: fc.boolean(),
  partial: u32,
  acked_pos: decimal,
  producer_pos: decimal,
  consumer_pos: decimal,
  limits: fc.record({ max_frame_bytes: u32, max_reservations: u32, lease_ms: u32 }),
});

export const serverFrames: fc.Arbitrary<ServerFrame> = fc.oneof(
  fc.record({ op: constant(Op.WELCOME), version: u32, seq, body: welcomeBodies }),
  fc.record({
    op: constant(Op.ACK),
    seq,
    durability: fc.constantFrom(...DURABILITY_LEVELS),
    producerPos: u64,
    consumerPos: u64,
  }),
  fc.record({
    op: constant(Op.ERROR),
    request: fc.nat(255),
    errno: u32,
    seq: u64,
    accepted: u32,
    retryAfterMs: u32,
    producerPos: u64,
    consumerPos: u64,
    message: fc.oneof(text, fc.constantFrom('\ufeffwith a BOM', '\u0000', '\u{1f600}')),
  }),
  fc.record({ op: constant(Op.RESERVED), seq: u64, position: u64 }),
  fc.record({
    op: constant(Op.WAKEUP),
    forced: fc.boolean(),
    writable: fc.boolean(),
    atOnce: fc.boolean(),
    drained: u32,
    seq: u64,
    producerPos: u64,
    consumerPos: u64,
  }),
  fc.record({
    op: constant(Op.INFO),
    seq: u64,
    availData: u64,
    ringSize: u64,
    consumerPos: u64,
    producerPos: u64,
  }),
  fc.record({ op: constant(Op.DONE), seq: u64, producerPos: u64, consumerPos: u64 }),
);

/** Bytes that are close to a frame: a valid one that was cut, lengthened, or had some bytes changed. */
export function nearly(frames: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 });
  const cut = fc.option(fc.nat(60), { nil: undefined });
  return fc.tuple(frames, changes, cut, fc.uint8Array({ maxLength: 6 })).map(([frame, edits, end, tail]) => {
    const mutated = Uint8Array.of(...frame.subarray(0, end), ...tail);
    for (const [at, value] of edits) if (at < mutated.length) mutated[at] = value;
    return mutated;
  });
}
