import type { ProducerConnection, ProducerState } from './producer-states.js';

/** A connected producer, as operators see it. */
export interface ConnectedProducer extends ProducerConnection {
  readonly state: ProducerState;
  /** How operators name it: the producer id, or `~N` for an anonymous connection. */
  readonly label: string;
  describe(): Record<string, unknown>;
  /** Stores nothing more of it. It may still be told what is durable, until it is disconnected. */
  takeNoMore(): void;
  /** Ends the connection: 4507 by an operator, 4504 when the map goes, 4412 at shutdown, 1011 without a journal. */
  disconnect(key: EndReason): void;
}

/** Why the daemon ends a connection. */
export type EndReason = 'DISCONNECTED' | 'NO_MAP' | 'SHUTTING_DOWN' | 'JOURNAL_FAILED';
