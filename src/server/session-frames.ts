/** What frame sessions say of their map and their producer. */
import { Op, PROTOCOL_VERSION, type ErrorFrame, type InfoFrame, type WelcomeFrame } from '../wire/index.js';
import type { RingbufdError } from './errors.js';
import type { HostedMap } from './hosted-map.js';
import type { SessionOptions } from './producer-session.js';
import type { ProducerState } from './producer-states.js';

/** What a producer is told first: where the map stands, and how far the daemon knows this producer at the map's durability. */
export function welcomeOf(
  map: HostedMap,
  state: ProducerState,
  options: Pick<SessionOptions, 'resumed' | 'maxFrameBytes'>,
): WelcomeFrame {
  return {
    op: Op.WELCOME,
    version: PROTOCOL_VERSION,
    seq: state.ackSeq,
    body: {
      map: map.name,
      incarnation: map.incarnation,
      max_entries: map.attributes.maxEntries,
      mode: map.attributes.mode,
      durability: map.attributes.durability,
      producer: state.id,
      resumed: options.resumed,
      partial: state.ackPartial,
      acked_pos: String(state.ackedPos),
      producer_pos: String(map.ring.producerPosition),
      consumer_pos: String(map.ring.freedPosition),
      limits: {
        max_frame_bytes: options.maxFrameBytes,
        max_reservations: map.settings.maxReservationsPerConnection,
        lease_ms: map.settings.leaseMs,
      },
    },
  };
}

/** What an ERROR answers. */
export interface Request {
  op: number;
  seq: bigint | number;
}

/** The ERROR of a connection that answers `request`: for the OUTPUT that is due it says how much of it is stored. */
export function errorOf(
  request: Request,
  error: RingbufdError,
  { ring }: HostedMap,
  { lastSeq, partial }: ProducerState,
): ErrorFrame {
  const isDue = request.op === Op.OUTPUT && Number(request.seq) === lastSeq + 1;
  return {
    op: Op.ERROR,
    request: request.op,
    errno: error.errnoNumber,
    seq: BigInt(request.seq),
    accepted: isDue ? partial : 0,
    retryAfterMs: error.retryAfterMs,
    producerPos: ring.producerPosition,
    consumerPos: ring.freedPosition,
    message: error.detail,
  };
}

/** Where a map stands. On a journalled one data that is drained and not yet given back still takes its room. */
export function infoOf({ ring }: HostedMap, seq: bigint): InfoFrame {
  const { producerPosition: producerPos, freedPosition: consumerPos, size } = ring;
  const availData = BigInt.asUintN(64, producerPos - consumerPos);
  return { op: Op.INFO, seq, availData, ringSize: BigInt(size), consumerPos, producerPos };
}
