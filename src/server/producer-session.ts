/** What all producer connections have in common, whatever they speak: identity, waiting for room, and their end. */
import { CloseCode } from '../wire/index.js';
import { catalogue } from './errors.js';
import type { HostedMap } from './hosted-map.js';
import type { ConnectedProducer, EndReason } from './connected-producer.js';
import { MessageGate } from './message-gate.js';
import type { LedgerLine } from './ledger/ledger-line.js';
import type { ProducerState } from './producer-states.js';
import type { ReservationHolder } from './reservations.js';
import type { SessionSocket, SocketEvents } from './session-socket.js';
import type { WaitingRun } from './space-queue.js';

/** What a producer wants when the ring is full: an ERROR with ENOSPC, or to wait with its socket paused. */
export type WhenFull = 'reject' | 'block';

export interface SessionOptions {
  map: HostedMap;
  state: ProducerState;
  /** Whether the state was there before this connection. */
  resumed: boolean;
  whenFull: WhenFull;
  subprotocol: string;
  remoteAddress: string;
  /** How operators name this connection: the producer id, or `~N` for an anonymous one. */
  label: string;
  connectedAtMs: number;
  maxFrameBytes: number;
  maxQueuedBytes: number;
  /** Called when the connection was closed because the client reads too slowly. */
  onSlow: () => void;
}

/** RFC 6455 §7.4.1: the codes with which ws answers a message over the limit, and one of too many fragments. */
const MESSAGE_TOO_BIG = 1009;
const TOO_MANY_FRAGMENTS = 1008;

/** The same: a peer may come back, and will find out why. */
const INTERNAL_ERROR = 1011;

const closeCodes = {
  DISCONNECTED: CloseCode.DISCONNECTED,
  NO_MAP: CloseCode.NO_MAP,
  SHUTTING_DOWN: CloseCode.DRAINING,
  REPLACED: CloseCode.REPLACED,
  JOURNAL_FAILED: INTERNAL_ERROR,
} as const;

export abstract class ProducerSession implements SocketEvents, ConnectedProducer, ReservationHolder {
  openReservations = 0;
  readonly state: ProducerState;
  /** Where the ledger books what this connection stores. */
  protected readonly line: LedgerLine;
  protected readonly map: HostedMap;
  protected readonly options: SessionOptions;
  protected readonly gate: MessageGate;
  #waiting: WaitingRun | undefined;
  #fenced = false;

  constructor(
    protected readonly socket: SessionSocket,
    options: SessionOptions,
  ) {
    this.options = options;
    this.map = options.map;
    this.state = options.state;
    this.line = options.map.ledger.lineOf(options.state.id);
    this.gate = new MessageGate(
      socket,
      (data, isBinary) => this.handle(data, isBinary),
      () => this.idle(),
    );
    this.map.connections.add(this);
    this.state.connection = this;
  }

  /** Handles one message of the client. */
  protected abstract handle(data: Uint8Array, isBinary: boolean): void;
  /** Says goodbye: `code` and `reason` as the client will see them. */
  protected abstract hangUp(code: number, reason: string): void;
  /** Everything that had been read is handled. */
  protected idle(): void {
    // Nothing to do unless a dialect has promised something for this moment.
  }

  abstract closing(): boolean;
  abstract drained(): void;

  get deadlineSuspended(): boolean {
    return this.gate.shut;
  }

  get label(): string {
    return this.options.label;
  }

  /** Whether a message is handled the moment it comes: the session has not ended and waits for nothing. */
  protected get listens(): boolean {
    return !this.#fenced && !this.gate.shut;
  }

  message(data: Uint8Array, isBinary: boolean): void {
    if (this.#fenced) this.map.counters.refuse('EBUSY', 'fenced');
    else this.gate.message(data, isBinary);
  }

  replace(): void {
    this.map.counters.takeovers++;
    this.fence();
    this.#hangUpBecause('REPLACED');
  }

  disconnect(key: EndReason): void {
    this.fence();
    this.#hangUpBecause(key);
  }

  takeNoMore(): void {
    this.fence();
  }

  violated(code: number): void {
    if (code === MESSAGE_TOO_BIG) this.map.counters.refuse('E2BIG', 'never_fits');
    else this.map.counters.refuse(code === TOO_MANY_FRAGMENTS ? 'E2BIG' : 'EPROTO', 'bad_frame');
    this.fence();
  }

  closed(): void {
    this.fence();
  }

  describe(): Record<string, unknown> {
    const { options, state } = this;
    return {
      id: options.label,
      producer: state.id,
      token: state.owner,
      subprotocol: options.subprotocol,
      on_full: options.whenFull,
      remote_address: options.remoteAddress,
      connected_at: new Date(options.connectedAtMs).toISOString(),
      last_seq: String(state.lastSeq),
      partial: state.partial,
      acked_seq: String(state.ackSeq),
      acked_pos: String(state.ackedPos),
      accepted_samples: state.acceptedSamples,
      accepted_bytes: state.acceptedBytes,
      open_reservations: this.openReservations,
      waiting_for_room: this.gate.shut,
      queued_bytes: this.socket.queuedBytes,
    };
  }

  /** Stores a checked run that fits now. */
  protected store(run: Uint8Array, records: number): void {
    this.map.intake.store(run, records, this.line);
    this.state.stored(records, run.length, this.map.ring);
    this.map.journal?.touch(this.state);
  }

  /**
   * Waits for room: takes no further message until the run is stored as a whole.
   * @param onStored after each part that was stored
   * @param onDone after the last part, before held messages are handled
   */
  protected wait(
    run: Uint8Array,
    view: DataView,
    at: number,
    atomic: boolean,
    onStored: (records: number) => void,
    onDone: () => void,
  ): void {
    this.map.counters.blockedFrames++;
    this.gate.shutDown();
    this.#waiting = {
      run,
      view,
      at,
      atomic,
      stored: (records, bytes) => {
        this.state.stored(records, bytes, this.map.ring);
        this.map.journal?.touch(this.state);
        this.map.intake.stored(records, bytes, this.line);
        onStored(records);
      },
      done: () => {
        this.#waiting = undefined;
        onDone();
        this.gate.open();
      },
    };
    this.map.waiting.join(this.#waiting);
  }

  /** Ends every influence of this connection on the map. Idempotent. */
  protected fence(): void {
    if (this.#fenced) return;
    this.#fenced = true;
    const dropped = this.gate.drop() + (this.#waiting === undefined ? 0 : 1);
    if (dropped > 0) this.map.counters.refuse('EIO', 'connection_lost', dropped);
    if (this.#waiting !== undefined) {
      this.map.waiting.leave(this.#waiting);
      this.#waiting = undefined;
      // Whoever stood behind it may fit, and when nobody does, others have room that they were refused.
      this.map.waiting.serve();
      if (this.map.waiting.roomForNewcomers > 0) void this.map.watchers.wake(true, 0, this.map.drainNumber);
    }
    this.map.intake.abandon(this);
    this.map.connections.delete(this);
    if (this.state.connection !== this) return;
    this.map.states.release(this.state);
    // When it was last seen is kept, too; that alone is no reason for a commit.
    this.map.journal?.touch(this.state);
  }

  #hangUpBecause(key: keyof typeof closeCodes): void {
    this.hangUp(closeCodes[key], `${catalogue[key].errno}: ${catalogue[key].title}`);
  }
}
