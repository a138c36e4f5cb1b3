import type { RingbufError } from './errors.js';
import type { Wakeup } from './watcher.js';
import type { Welcome } from './welcome.js';

/** What a producer tells its listeners (`producer.on(name, listener)`). */
export interface ProducerEvents {
  /** A connection is ready: the first is the one that `connect` waited for, so listeners hear of the later ones. */
  welcome: Welcome;
  /** Every WAKEUP that comes, whoever it is for. None comes unless somebody watches or waits. */
  wakeup: Wakeup;
  /** A connection ended. Reservations are gone; outputs are kept if there is a producer id and a way back. */
  disconnect: { readonly error: RingbufError; readonly willReconnect: boolean };
  /** The next attempt, the `attempt`th in a row, is made in `delayMs` milliseconds. */
  reconnecting: { readonly attempt: number; readonly delayMs: number; readonly cause: RingbufError };
  uncertain: Uncertain;
  /** The producer is over. Without an error it was closed by its user. */
  close: { readonly error: RingbufError | undefined };
  /** The daemon said something that it should not have said; the connection goes on. */
  error: RingbufError;
}

/**
 * What nobody can know after a connection was lost and the daemon could not tell how far this producer was.
 *
 * - `new-incarnation`: the map's content was lost, or the map was created anew. Acknowledged records between `from` and
 *   `to` may have been drained before that, or not. Unacknowledged outputs are sent again; a handler may have seen them.
 * - `producer-forgotten`: the content is whole, but the daemon forgot this producer id. What was acknowledged is safe;
 *   `resent` frames were in flight and are sent again, so their samples may be stored twice.
 * - `producer-shared`: another connection used the same producer id meanwhile. `failed` outputs ended with
 *   OUTCOME_UNKNOWN.
 */
export interface Uncertain {
  readonly reason: 'new-incarnation' | 'producer-forgotten' | 'producer-shared';
  /** The incarnation that the positions belong to. */
  readonly incarnation: string;
  /** Map positions: what was acknowledged and is not known to be drained lies between them. Equal: nothing does. */
  readonly from: bigint;
  readonly to: bigint;
  /** OUTPUT frames that were in flight and are sent again. */
  readonly resent: number;
  /** Outputs that were given up. */
  readonly failed: number;
}
