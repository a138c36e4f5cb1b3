import { checkRun, Errno, prefixThatFits, skipRecords } from '../ring/index.js';
import {
  CloseCode,
  FRAME_HEADER_SIZE,
  isFrameError,
  Op,
  type ClientFrame,
  type FrameError,
  type OutputFrame,
  type SubmitFrame,
  type WakeupFrame,
  type WatchFrame,
} from '../wire/index.js';
import type { EncodedFrame } from './encoded-frame.js';
import { RingbufdError } from './errors.js';
import { Outbox, type FrameDialect } from './outbox.js';
import {
  decodeMessage,
  isSmallOutput,
  opsOfMode,
  reservationReasons,
  SUBMIT_OVERHEAD,
} from './frame-rules.js';
import { judgeOutput } from './producer-states.js';
import { ProducerSession, type SessionOptions } from './producer-session.js';
import type { SessionSocket } from './session-socket.js';
import type { Watcher } from './wakeup-hub.js';
import { errorOf, infoOf, welcomeOf, type Request } from './session-frames.js';

/**
 * One connection that speaks `ringbuf.v1` or `ringbuf.v1.json`, as a state machine over frames. Protocol rules:
 * docs/PROTOCOL.md.
 */
export class FrameSession extends ProducerSession implements Watcher {
  readonly #dialect: FrameDialect;
  readonly #outbox: Outbox;
  /** Whether OUTPUT comes as binary runs here. */
  readonly #takesRuns: boolean;
  /** Number of the OUTPUT that an ERROR left open: every other one is ignored until it comes again. 0: none. */
  #open = 0;
  #ackDue = false;
  /** Small frames since the last ACK: the map was told of the first of them. */
  #smallFrames = 0;
  readonly #flushAckSoon = (): void => this.#flushAck();
  /** Last OUTPUT that this client was told to be acknowledged. */
  #toldSeq = 0;
  #isWelcomed = false;
  /** Before WELCOME nothing may be said: what an earlier connection has left pending becomes durable in parts. */
  readonly #onDurable = (): void => {
    if (this.#isWelcomed && this.state.ackSeq > this.#toldSeq) this.#ack();
  };

  constructor(socket: SessionSocket, options: SessionOptions, dialect: FrameDialect) {
    super(socket, options);
    this.#dialect = dialect;
    this.#takesRuns = dialect === 'binary' && this.map.attributes.mode === 'managed';
    this.#outbox = new Outbox(socket, dialect, options.maxQueuedBytes, () => {
      options.onSlow();
      this.fence();
    });
    this.#greet();
  }

  /**
   * The frame that most producers send most of the time, an OUTPUT of one small sample that fits, is known without making
   * an object for it. Anything else, right or wrong, is for {@link handle}.
   */
  override message(data: Uint8Array, isBinary: boolean): void {
    const { state, map } = this;
    const seq = state.lastSeq + 1;
    const size = data.length - FRAME_HEADER_SIZE;
    if (
      this.#takesRuns &&
      isBinary &&
      this.#open === 0 &&
      state.partial === 0 &&
      this.listens &&
      isSmallOutput(data, seq, map.ring.size) &&
      size <= map.waiting.roomForNewcomers
    ) {
      // A journal has to know of each, and owes no ACK yet.
      const more = map.journal === undefined && this.#smallFrames++ > 0;
      if (map.journal === undefined) this.#oweAck();
      map.intake.storeFrame(data, this.line, more);
      state.stored(1, size, map.ring);
      this.#accepted(seq);
    } else {
      super.message(data, isBinary);
    }
  }

  override closing(): boolean {
    this.#flushAck();
    return false;
  }

  override violated(code: number): void {
    this.#flushAck();
    super.violated(code);
  }

  override drained(): void {
    this.#outbox.flush();
  }

  override closed(): void {
    super.closed();
    if (this.state.onDurable === this.#onDurable) this.state.onDurable = undefined;
  }

  wakeup(frame: EncodedFrame<WakeupFrame>): boolean {
    return this.#outbox.wakeup(frame);
  }

  protected override fence(): void {
    this.map.watchers.unwatch(this);
    super.fence();
  }

  protected override hangUp(code: number, reason: string): void {
    this.#flushAck();
    this.#outbox.close(code, reason);
  }

  protected override handle(data: Uint8Array, isBinary: boolean): void {
    const frame = decodeMessage(this.#dialect, data, isBinary, this.options.maxFrameBytes);
    if (isFrameError(frame)) {
      this.#badFrame(frame);
      return;
    }
    const { mode } = this.map.attributes;
    if (frame.op !== Op.WATCH && frame.op !== Op.QUERY && !opsOfMode[mode].has(frame.op)) {
      this.map.counters.refuse('EPERM', 'not_allowed');
      this.#error(frame, new RingbufdError('NOT_ALLOWED_HERE', `not on a ${mode} map`));
      return;
    }
    if (frame.op === Op.OUTPUT) {
      this.#output(frame);
      return;
    }
    try {
      this.#handleOther(frame);
    } catch (error) {
      if (!(error instanceof RingbufdError)) throw error;
      const reason = reservationReasons[error.key];
      if (reason !== undefined) this.map.counters.refuse(error.errno, reason);
      this.#error(frame, error);
    }
  }

  #handleOther(frame: Exclude<ClientFrame, OutputFrame>): void {
    switch (frame.op) {
      case Op.RESERVE: {
        // A reservation that could never be submitted would only block the ring until its lease ends.
        if (frame.size + SUBMIT_OVERHEAD[this.#dialect] > this.options.maxFrameBytes) {
          this.map.counters.refuse('E2BIG', 'never_fits');
          throw new RingbufdError(
            'NEVER_FITS',
            `a SUBMIT of ${frame.size} bytes is over the frame limit of ${this.options.maxFrameBytes}`,
          );
        }
        const position = this.map.intake.reserve(this, frame.size, this.line);
        this.#outbox.send({ op: Op.RESERVED, seq: frame.seq, position });
        return;
      }
      case Op.SUBMIT:
        this.map.intake.submit(this, frame.position, frame.payload);
        this.#doneOnceDurable(frame);
        return;
      case Op.DISCARD:
        this.map.intake.discard(this, frame.position);
        break;
      case Op.WATCH:
        this.#watch(frame);
        return;
      case Op.QUERY:
        this.#outbox.send(infoOf(this.map, frame.seq));
        return;
      case Op.WRITE:
        this.map.intake.write(Number(frame.offset), frame.bytes);
        break;
      case Op.COMMIT:
        this.map.intake.commit(frame.producerPos);
        break;
    }
    this.#done(frame.seq);
  }

  #watch(frame: WatchFrame): void {
    if (!frame.on) {
      this.map.watchers.unwatch(this);
      this.#done(frame.seq);
      return;
    }
    if (frame.minFree > this.map.ring.size) {
      this.map.counters.refuse('E2BIG', 'never_fits');
      throw new RingbufdError(
        'NEVER_FITS',
        `min_free ${frame.minFree}, the ring has ${this.map.ring.size} bytes`,
      );
    }
    this.#done(frame.seq);
    this.map.watchers.watch(this, frame.minFree, this.map.drainNumber);
  }

  /** OUTPUT: sequence rules, then the whole run checked, then stored as far as it fits. */
  #output(frame: OutputFrame): void {
    const { map, state } = this;
    switch (judgeOutput(state, this.#open, frame)) {
      case 'ignore':
        map.counters.refuse('EAGAIN', 'ignored_after_error');
        return;
      case 'already_accepted':
        // What is accepted and not durable is acknowledged when it is.
        if (frame.seq <= state.ackSeq) this.#oweAck();
        return;
      case 'out_of_sequence':
        map.counters.refuse('EPROTO', 'sequence');
        this.#error(
          frame,
          new RingbufdError(
            'SEQUENCE',
            `OUTPUT ${frame.seq} after ${state.lastSeq}${frame.resend ? ', resent' : ''}`,
          ),
        );
        this.#end(CloseCode.PROTOCOL_ERROR, `EPROTO: OUTPUT ${frame.seq} after ${state.lastSeq}`);
        return;
      case 'store':
        this.#storeOutput(frame);
    }
  }

  #storeOutput(frame: OutputFrame): void {
    const { map, state } = this;
    const { run } = frame;
    // Sent as new: a partial of an earlier frame with this number is closed and nothing is skipped.
    if (!frame.resend && state.partial > 0) {
      map.journal?.touch(state);
      state.partial = 0;
    }
    const records = checkRun(viewOf(run), map.ring.size);
    if (records < 0 || (frame.atomic && run.length > map.ring.size)) {
      const malformed = records === -Errno.EINVAL;
      map.counters.refuse(malformed ? 'EINVAL' : 'E2BIG', malformed ? 'bad_run' : 'never_fits');
      this.#outputError(frame, new RingbufdError(malformed ? 'BAD_RUN' : 'NEVER_FITS'));
      return;
    }
    const at = state.partial === 0 ? 0 : skipRecords(viewOf(run), state.partial);
    if (at < 0) {
      map.counters.refuse('EINVAL', 'bad_run');
      const detail = `${state.partial} samples of OUTPUT ${frame.seq} were accepted, its resend has ${records}`;
      this.#outputError(frame, new RingbufdError('BAD_RUN', detail));
      return;
    }
    const room = map.waiting.roomForNewcomers;
    const missing = run.length - at;
    if (missing <= room) {
      // Before the store, which may lead to a drain: the ACK is not to wait for that.
      if (map.journal === undefined) this.#oweAck();
      this.store(at === 0 ? run : run.subarray(at), records - state.partial);
      this.#accepted(frame.seq);
    } else if (this.options.whenFull === 'block' && this.openReservations === 0) {
      const onStored = (count: number): void => void (state.partial += count);
      // A copy: the bytes are lent.
      const kept = new Uint8Array(run);
      this.wait(kept, viewOf(kept), at, frame.atomic, onStored, () => this.#accepted(frame.seq));
    } else {
      const fits = frame.atomic ? { records: 0, bytes: 0 } : prefixThatFits(viewOf(run), at, room);
      if (fits.records > 0) this.store(run.subarray(at, at + fits.bytes), fits.records);
      state.partial += fits.records;
      const detail = `${state.partial} of ${records} samples are stored, ${map.ring.free} bytes are free`;
      this.#outputError(frame, map.intake.noRoom(detail));
    }
  }

  #accepted(seq: number): void {
    this.state.accept(seq);
    this.#open = 0;
    this.map.counters.acceptedFrames++;
    const { journal } = this.map;
    if (journal === undefined) {
      this.#oweAck();
      return;
    }
    // An empty OUTPUT has stored nothing, and is a change all the same.
    journal.touch(this.state);
    journal.changed();
  }

  /**
   * An ERROR for OUTPUT n says how much of n is stored, and that everything before n is. On a journalled map it waits
   * until that is durable; only a journal without room is told of at once.
   */
  #outputError(frame: OutputFrame, error: RingbufdError): void {
    this.#open = frame.seq;
    const { journal } = this.map;
    if (journal === undefined || journal.blocked || !this.state.unsettled) {
      this.#error(frame, error);
      return;
    }
    const send = (): void => {
      this.#onDurable();
      this.#error(frame, error);
    };
    journal.wait({ durable: send });
  }

  /** One cumulative ACK for all that this turn of the event loop reads: a busy socket is read many times in one. */
  #oweAck(): void {
    if (this.#ackDue) return;
    this.#ackDue = true;
    setImmediate(this.#flushAckSoon);
  }

  #flushAck(): void {
    if (!this.#ackDue) return;
    this.#ackDue = false;
    this.#ack();
    const more = this.#smallFrames > 1;
    this.#smallFrames = 0;
    if (more) this.map.intake.changed();
  }

  #ack(): void {
    const { ackSeq, ackedPos } = this.state;
    this.#toldSeq = ackSeq;
    const consumerPos = this.map.ring.freedPosition;
    const { durability } = this.map.attributes;
    this.#outbox.ack({ op: Op.ACK, seq: ackSeq, durability, producerPos: ackedPos, consumerPos });
  }

  #done(seq: bigint): void {
    const { producerPosition, freedPosition } = this.map.ring;
    this.#outbox.send({ op: Op.DONE, seq, producerPos: producerPosition, consumerPos: freedPosition });
  }

  #doneOnceDurable(frame: SubmitFrame): void {
    const { journal } = this.map;
    if (journal === undefined) this.#done(frame.seq);
    else journal.wait({ durable: () => this.#done(frame.seq) });
  }

  #badFrame(error: FrameError): void {
    const isOutput = error.op === Op.OUTPUT && error.errno === 'EINVAL';
    if (isOutput && this.#open !== 0 && Number(error.seq) !== this.#open) {
      this.map.counters.refuse('EAGAIN', 'ignored_after_error');
      return;
    }
    this.map.counters.refuse(error.errno, 'bad_frame');
    // A refused OUTPUT is open like any other one that an ERROR answered, if it is the one that was due.
    if (isOutput && this.#open === 0 && Number(error.seq) === this.state.lastSeq + 1)
      this.#open = Number(error.seq);
    const key = error.errno === 'EPROTO' ? 'BAD_FRAME' : 'BAD_ARGUMENT';
    this.#error({ op: error.op, seq: error.seq }, new RingbufdError(key, error.message));
    if (error.errno === 'EPROTO') this.#end(CloseCode.PROTOCOL_ERROR, `EPROTO: ${error.message}`);
  }

  #error(request: Request, error: RingbufdError): void {
    this.#flushAck();
    this.#outbox.send(errorOf(request, error, this.map, this.state));
  }

  #end(code: number, reason: string): void {
    this.fence();
    this.hangUp(code, reason);
  }

  /** What WELCOME says is final: on a journalled map it waits for what an earlier connection has left pending. */
  #greet(): void {
    const { journal } = this.map;
    this.state.onDurable = this.#onDurable;
    if (journal === undefined || !this.state.unsettled) {
      this.#welcome();
      return;
    }
    this.gate.shutDown();
    const welcome = (): void => {
      this.#welcome();
      this.gate.open();
    };
    journal.wait({ durable: welcome });
  }

  #welcome(): void {
    this.#isWelcomed = true;
    this.#toldSeq = this.state.ackSeq;
    this.#outbox.send(welcomeOf(this.map, this.state, this.options));
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
