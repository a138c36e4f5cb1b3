import { recordSize } from '../ring/index.js';
import { buildRun, CloseCode } from '../wire/index.js';
import { ProducerSession } from './producer-session.js';

/** RFC 6455 §7.4.1. */
const NORMAL_CLOSURE = 1000;
const MESSAGE_TOO_BIG = 1009;

/**
 * Plain mode: each message, text or binary, is one sample; a full ring pauses the socket. The daemon sends nothing: its
 * only acknowledgement is to answer the client's Close with 1000 once everything before it is stored.
 */
export class PlainSession extends ProducerSession {
  #closeWhenIdle = false;

  override closing(): boolean {
    if (this.gate.shut) this.#closeWhenIdle = true;
    else this.#acknowledge();
    return true;
  }

  override drained(): void {
    // Nothing is ever sent.
  }

  protected override handle(sample: Uint8Array): void {
    const { map } = this;
    const size = recordSize(sample.length);
    if (sample.length > this.options.maxFrameBytes) {
      map.counters.refuse('E2BIG', 'never_fits');
      this.#refuse(
        MESSAGE_TOO_BIG,
        `E2BIG: a sample of ${sample.length} bytes, the limit is ${this.options.maxFrameBytes}`,
      );
    } else if (size > map.ring.size) {
      map.counters.refuse('E2BIG', 'never_fits');
      this.#refuse(
        CloseCode.PROTOCOL_ERROR,
        `E2BIG: a record of ${size} bytes, the ring has ${map.ring.size}`,
      );
    } else {
      const run = buildRun([sample]);
      const accepted = (): void => void map.counters.acceptedFrames++;
      if (size <= map.waiting.roomForNewcomers) {
        this.store(run, 1);
        accepted();
      } else {
        this.wait(run, new DataView(run.buffer), 0, false, ignore, accepted);
      }
    }
  }

  protected override idle(): void {
    if (this.#closeWhenIdle) this.#acknowledge();
  }

  protected override hangUp(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  /** Answers the client's Close, once everything before it is stored at the map's durability. */
  #acknowledge(): void {
    const close = (): void => this.socket.close(NORMAL_CLOSURE, '');
    if (this.map.journal === undefined) close();
    else this.map.journal.wait({ durable: close });
  }

  #refuse(code: number, reason: string): void {
    this.fence();
    this.socket.close(code, reason);
  }
}

function ignore(): void {
  // Plain producers are told nothing.
}
