import { Errno } from '../ring/errno.js';
import type { AckFrame, ErrorFrame } from '../wire/index.js';
import { errorFromFrame, outcomeUnknown, RingbufError } from './errors.js';
import { FrameQueue } from './frame-queue.js';
import type { OutputCall } from './output-call.js';
import { OutputFrame, type FrameLimits } from './output-frame.js';
import type { Welcome } from './welcome.js';

/** The window does not shrink below so many bytes: sending them in vain costs less than waiting for an answer. */
const MIN_WINDOW_BYTES = 65_536;

/** What the window needs of the rest of the SDK. */
export interface WindowHost {
  /** Calls `goOn` once when `minFree` bytes may be free; the function returned cancels that. */
  whenRoom(minFree: number, retryAfterMs: number, goOn: () => void): () => void;
  /** Something that the daemon should not have said. */
  strange(error: RingbufError): void;
}

/**
 * The OUTPUT frames of one producer, over all its connections: numbering, back-pressure, partial acceptance, resending.
 *
 * The daemon's side of the rules (docs/PROTOCOL.md): numbers go up by one; ACK is cumulative; an ERROR for number n
 * leaves n open, and every OUTPUT but n is ignored until n comes again. Hence the one rule here: a frame gets its number
 * when it is sent, as last acknowledged + 1 + frames in flight, and after an ERROR for n the frames from n on count as
 * never sent. Whatever then comes first takes number n: the same frame (RESEND: the daemon skips what it holds of it),
 * or, if that one failed for good, the next.
 *
 * A failed frame of which the daemon holds a part is replaced by an empty frame. Otherwise, after a cut, the daemon's
 * "I hold 3 samples of number n" could mean the failed frame or its successor, and one of the two readings loses samples.
 *
 * Everything behind a refused frame was sent in vain. So the bytes in flight are halved at each ENOSPC and grow with each
 * ACK, as TCP does it; without that, a ring that is small against `maxUnackedBytes` would see every byte many times.
 */
export class OutputWindow {
  readonly #queue = new FrameQueue();
  readonly #host: WindowHost;
  readonly #maxUnackedBytes: number;
  #send: ((bytes: Uint8Array) => void) | undefined;
  /** Number of the last frame that is acknowledged or written off. */
  #acked = 0;
  #ackedPos = 0n;
  #limits: FrameLimits = { body: 0, ring: 0 };
  /** Bytes that may be in flight at present. */
  #windowBytes: number;
  /** Set while the first waiting frame waits for room. Cancels the wait. */
  #stall: (() => void) | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor(host: WindowHost, maxUnackedBytes: number) {
    this.#host = host;
    this.#maxUnackedBytes = maxUnackedBytes;
    this.#windowBytes = maxUnackedBytes;
  }

  get limits(): FrameLimits {
    return this.#limits;
  }

  /** Number of the last frame that is acknowledged. */
  get acked(): number {
    return this.#acked;
  }

  /** Map position of the end of this producer's last acknowledged record, as last told. */
  get ackedPos(): bigint {
    return this.#ackedPos;
  }

  /** Bytes that are kept: unacknowledged and waiting. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Frames on their way whose answer has not come. */
  get inFlight(): number {
    return this.#queue.sentCount;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** Calls `run` as soon as nothing is unacknowledged. */
  onceEmpty(run: () => void): void {
    if (this.empty) run();
    else this.#whenEmpty.push(run);
  }

  enqueue(call: OutputCall, frames: readonly OutputFrame[]): void {
    for (const frame of frames) {
      frame.call = call;
      this.#queue.push(frame);
    }
    this.#pump();
  }

  /** Gives a call up: what was not sent will not be; what is in flight is no longer waited for. */
  abort(call: OutputCall, reason: unknown): void {
    call.fail({ abortedBy: reason });
    for (let i = this.#queue.sentCount; i < this.#queue.length; i++) {
      if (this.#queue.at(i)!.call !== call) continue;
      const wasFirst = i === this.#queue.sentCount;
      this.#drop(i, call);
      if (wasFirst) this.#unstall();
      break;
    }
    this.#pump();
    this.#tellIfEmpty();
  }

  ack(frame: AckFrame): void {
    const before = this.#queue.sentBytes;
    this.#settleUpTo(frame.seq, frame.producerPos);
    const ackedBytes = before - this.#queue.sentBytes;
    this.#windowBytes = Math.min(this.#maxUnackedBytes, this.#windowBytes + ackedBytes);
    this.#ackedPos = frame.producerPos;
    this.#pump();
    this.#tellIfEmpty();
  }

  refused(error: ErrorFrame): void {
    const index = Number(error.seq) - this.#acked - 1;
    if (index < 0 || index >= this.#queue.sentCount) {
      this.#host.strange(errorFromFrame(error));
      return;
    }
    if (error.errno === Errno.ENOSPC) this.#narrow();
    this.#queue.rewind(index);
    const frame = this.#queue.at(index)!;
    frame.accepted = error.accepted;
    const { call } = frame;
    if (error.errno === Errno.ENOSPC && call !== undefined && !call.settled && call.whenFull === 'wait') {
      this.#stall = this.#host.whenRoom(frame.bytesToGoOn(), error.retryAfterMs, () => {
        this.#stall = undefined;
        this.#pump();
      });
      return;
    }
    // An answer for number n says that everything before n was stored, acknowledged already or not.
    this.#fail(index, errorFromFrame(error), 'stored');
    this.#pump();
    this.#tellIfEmpty();
  }

  /**
   * The connection is gone.
   * @param anonymous without a producer id nobody can ask what became of the frames in flight: their calls fail
   * @param error what they fail with
   */
  disconnected(anonymous: boolean, error: RingbufError): void {
    this.#send = undefined;
    this.#unstall();
    if (anonymous && this.#queue.sentCount > 0) this.#writeOffSent(error);
  }

  /** The first connection of this producer. */
  begin(welcome: Welcome, send: (bytes: Uint8Array) => void): void {
    this.#continueFrom(welcome, send);
  }

  /**
   * The daemon still knows this producer, and its content is whole: what it accepted is settled, the rest goes again.
   * @returns calls whose outcome nobody can tell, which is 0 unless somebody else used the same producer id meanwhile
   */
  resume(welcome: Welcome, send: (bytes: Uint8Array) => void): number {
    const highest = this.#acked + this.#queue.sentCount;
    let unknown = 0;
    if (welcome.seq > highest) {
      unknown = this.#writeOffSent(
        outcomeUnknown('another connection of this producer id sent outputs meanwhile'),
      );
      this.#queue.updateWaiting(forgetNumber);
    } else this.#settleUpTo(welcome.seq, welcome.ackedPos);
    this.#queue.rewind(0);
    this.#continueFrom(welcome, send);
    return unknown;
  }

  /**
   * The daemon does not know how far this producer was: everything unacknowledged goes again under new numbers.
   * @param contentKept the ring still holds what it held: samples known to be stored are not sent twice
   * @returns frames that were in flight, which may be stored already
   */
  restart(welcome: Welcome, contentKept: boolean, send: (bytes: Uint8Array) => void): number {
    const inFlight = this.#queue.sentCount;
    this.#queue.rewind(0);
    this.#queue.updateWaiting((frame) => {
      if (contentKept) frame.dropAccepted();
      frame.accepted = 0;
      forgetNumber(frame);
    });
    this.#continueFrom(welcome, send);
    return inFlight;
  }

  /** It is over: every call fails with `error`. Returns how many did. */
  failAll(error: RingbufError): number {
    this.#send = undefined;
    this.#unstall();
    const inFlight = this.#queue.sentCount;
    const calls = new Map<OutputCall, { partial: number; unknown: boolean }>();
    this.#queue.clear().forEach((frame, index) => {
      if (frame.call === undefined || frame.call.settled) return;
      const known = calls.get(frame.call) ?? { partial: 0, unknown: false };
      calls.set(frame.call, {
        partial: known.partial + frame.accepted,
        unknown: known.unknown || index < inFlight,
      });
    });
    for (const [call, { partial, unknown }] of calls)
      call.fail(withOutcome(error, call.accepted + partial, unknown));
    this.#tellIfEmpty();
    return calls.size;
  }

  #continueFrom(welcome: Welcome, send: (bytes: Uint8Array) => void): void {
    this.#acked = welcome.seq;
    this.#ackedPos = welcome.ackedPos;
    this.#limits = { body: welcome.maxFrameBytes, ring: welcome.maxEntries };
    this.#windowBytes = Math.min(this.#windowBytes, Math.max(MIN_WINDOW_BYTES, welcome.maxEntries));
    const first = this.#queue.at(0);
    const isOurs = first !== undefined && first.call !== undefined && first.sentAs === welcome.seq + 1;
    if (isOurs) first.accepted = welcome.partial;
    else if (welcome.partial > 0 && (first === undefined || first.call !== undefined))
      this.#queue.replaceWaiting(0, 0, OutputFrame.closing());
    this.#send = send;
    this.#pump();
    this.#tellIfEmpty();
  }

  #pump(): void {
    while (this.#send !== undefined && this.#stall === undefined) {
      const frame = this.#queue.next;
      if (frame === undefined) return;
      const { sentBytes, sentCount } = this.#queue;
      if (frame.call?.givenUp === true) {
        this.#drop(sentCount, frame.call);
        this.#tellIfEmpty();
        continue;
      }
      if (sentCount > 0 && sentBytes + frame.size > this.#windowBytes) return;
      if (frame.bodySize > this.#limits.body) {
        // Built for a daemon with larger frames than the one that is connected now.
        const message = `the daemon takes frames of ${this.#limits.body} bytes now`;
        this.#fail(sentCount, new RingbufError('E2BIG', 'TOO_BIG', message), 'unknown');
        this.#tellIfEmpty();
        continue;
      }
      this.#queue.markSent();
      this.#send(frame.stamp(this.#acked + sentCount + 1));
    }
  }

  #narrow(): void {
    const half = Math.floor(Math.min(this.#windowBytes, this.#queue.sentBytes) / 2);
    this.#windowBytes = Math.min(this.#maxUnackedBytes, Math.max(MIN_WINDOW_BYTES, half));
  }

  #settleUpTo(seq: number, producerPos: bigint): void {
    while (this.#queue.sentCount > 0 && this.#acked < seq) {
      const frame = this.#queue.shiftSent();
      this.#acked++;
      frame.call?.frameStored(frame.records, producerPos);
    }
  }

  /**
   * Fails the call of the waiting frame at `index`, and with it the frames that follow in the same call.
   * @param before what became of the frames before it that are not acknowledged yet
   */
  #fail(index: number, error: RingbufError, before: 'stored' | 'unknown'): void {
    const frame = this.#queue.at(index)!;
    const { call } = frame;
    if (call === undefined) {
      // A closing frame that the daemon did not take: what follows closes the part as well.
      this.#queue.replaceWaiting(index, 1);
      return;
    }
    let accepted = call.accepted + frame.accepted;
    let unknown = false;
    for (let i = index - 1; i >= 0 && this.#queue.at(i)!.call === call; i--) {
      if (before === 'stored') accepted += this.#queue.at(i)!.records;
      else unknown = true;
    }
    call.fail(withOutcome(error, accepted, unknown));
    this.#drop(index, call);
  }

  /** Takes the waiting frames of `call` out, from `index` on. */
  #drop(index: number, call: OutputCall): void {
    const first = this.#queue.at(index)!;
    let count = 1;
    while (this.#queue.at(index + count)?.call === call) count++;
    if (first.accepted > 0) this.#queue.replaceWaiting(index, count, OutputFrame.closing());
    else this.#queue.replaceWaiting(index, count);
  }

  /** Ends the calls of all frames in flight, and takes their frames, also those that still wait, out. */
  #writeOffSent(error: RingbufError): number {
    const calls = new Set<OutputCall>();
    while (this.#queue.sentCount > 0) {
      const { call } = this.#queue.shiftSent();
      if (call !== undefined && !call.settled) calls.add(call);
    }
    for (const call of calls) {
      if (this.#queue.at(0)?.call === call) {
        this.#queue.at(0)!.accepted = 0;
        this.#drop(0, call);
      }
      call.fail(withOutcome(error, call.accepted, true));
    }
    this.#tellIfEmpty();
    return calls.size;
  }

  #unstall(): void {
    this.#stall?.();
    this.#stall = undefined;
  }

  #tellIfEmpty(): void {
    if (!this.empty || this.#whenEmpty.length === 0) return;
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const run of waiting) run();
  }
}

function forgetNumber(frame: OutputFrame): void {
  frame.sentAs = 0;
}

function withOutcome(error: RingbufError, accepted: number, unknown: boolean): RingbufError {
  const { retryable, retryAfterMs, closeCode, status } = error;
  const message = error.message.slice(error.errno.length + 2);
  return new RingbufError(error.errno, error.code, message, {
    retryable,
    retryAfterMs,
    accepted,
    outcomeUnknown: unknown,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
    ...(closeCode === undefined ? {} : { closeCode }),
    ...(status === undefined ? {} : { status }),
  });
}
