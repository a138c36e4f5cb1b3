import type { WelcomeFrame } from '../wire/index.js';
import { PROTOCOL_VERSION } from '../wire/index.js';
import { RingbufError } from './errors.js';

/** What the daemon said at the beginning of a connection. Positions and sizes are bytes. */
export interface Welcome {
  readonly map: string;
  /** Random; a new one means that the content, and every producer's sequence, started anew. */
  readonly incarnation: string;
  readonly maxEntries: number;
  readonly mode: 'managed' | 'direct';
  readonly durability: 'memory' | 'written' | 'synced';
  /** The producer id, null for an anonymous connection. */
  readonly producer: string | null;
  /** Whether the daemon still knew this producer id. */
  readonly resumed: boolean;
  /** Number of the last OUTPUT that it accepted whole. */
  readonly seq: number;
  /** Samples that it holds of the OUTPUT after that one. */
  readonly partial: number;
  /** End of this producer's last acknowledged record. */
  readonly ackedPos: bigint;
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
  /** Largest frame body, in bytes. */
  readonly maxFrameBytes: number;
  /** Open reservations of one connection. */
  readonly maxReservations: number;
  /** The daemon discards a reservation after so many milliseconds. */
  readonly leaseMs: number;
}

/**
 * Checks WELCOME and turns it into the SDK's form.
 * @throws RingbufError EPROTO for another protocol version or a field that is missing or of the wrong type
 */
export function readWelcome(frame: WelcomeFrame): Welcome {
  if (frame.version !== PROTOCOL_VERSION)
    throw broken(`protocol version ${frame.version}, where ${PROTOCOL_VERSION} is spoken here`);
  const body = frame.body as unknown as Record<string, unknown>;
  const limits = (body.limits ?? {}) as Record<string, unknown>;
  return {
    map: text(body, 'map'),
    incarnation: text(body, 'incarnation'),
    maxEntries: count(body, 'max_entries'),
    mode: oneOf(body, 'mode', ['managed', 'direct']),
    durability: oneOf(body, 'durability', ['memory', 'written', 'synced']),
    producer: body.producer === null ? null : text(body, 'producer'),
    resumed: body.resumed === true,
    seq: frame.seq,
    partial: count(body, 'partial'),
    ackedPos: position(body, 'acked_pos'),
    producerPos: position(body, 'producer_pos'),
    consumerPos: position(body, 'consumer_pos'),
    maxFrameBytes: count(limits, 'max_frame_bytes'),
    maxReservations: count(limits, 'max_reservations'),
    leaseMs: count(limits, 'lease_ms'),
  };
}

function text(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') throw broken(`no text in "${name}"`);
  return value;
}

function oneOf<Choice extends string>(
  body: Record<string, unknown>,
  name: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((known) => known === body[name]);
  if (choice === undefined) throw broken(`"${name}" is none of ${choices.join(', ')}`);
  return choice;
}

function count(body: Record<string, unknown>, name: string): number {
  const value = body[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw broken(`no count in "${name}"`);
  return value;
}

function position(body: Record<string, unknown>, name: string): bigint {
  const value = body[name];
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) throw broken(`no u64 in "${name}"`);
  return BigInt(value);
}

function broken(what: string): RingbufError {
  return new RingbufError('EPROTO', 'PROTOCOL', `the WELCOME frame has ${what}`);
}
