import { Op, PROTOCOL_VERSION, type WelcomeFrame } from '../wire/index.js';
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
