import type { OutputFrame } from './output-frame.js';

/**
 * Frames in order of their calls: first those sent and not yet acknowledged, then those that wait to be sent.
 *
 *     frames:   | sent, unacknowledged        | waiting          |
 *     number:     base  base+1  ...             (given when sent)
 *
 * The two parts meet at `sentCount`; a refusal moves that border back, sending moves it forward.
 */
export class FrameQueue {
  #frames: OutputFrame[] = [];
  /** Index of the first frame that is not gone; the slots before it are cleared now and then. */
  #head = 0;
  #sentCount = 0;
  #sentBytes = 0;
  #bytes = 0;

  get length(): number {
    return this.#frames.length - this.#head;
  }

  /** Bytes of all frames. */
  get bytes(): number {
    return this.#bytes;
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  /** Bytes of the frames that are sent and not acknowledged. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** The frame at `index` from the head. */
  at(index: number): OutputFrame | undefined {
    return this.#frames[this.#head + index];
  }

  /** The next frame to send. */
  get next(): OutputFrame | undefined {
    return this.at(this.#sentCount);
  }

  push(frame: OutputFrame): void {
    this.#frames.push(frame);
    this.#bytes += frame.size;
  }

  /** Moves the border over the next frame. */
  markSent(): void {
    this.#sentBytes += this.next!.size;
    this.#sentCount++;
  }

  /** Moves the border back: the frames from `index` on count as not sent. */
  rewind(index: number): void {
    while (this.#sentCount > index) {
      this.#sentCount--;
      this.#sentBytes -= this.next!.size;
    }
  }

  /** Takes the first sent frame away. */
  shiftSent(): OutputFrame {
    const frame = this.#frames[this.#head]!;
    this.#frames[this.#head++] = undefined!;
    this.#sentCount--;
    this.#sentBytes -= frame.size;
    this.#bytes -= frame.size;
    if (this.#head >= 1024 && this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }

  /** Puts a frame before those that wait, `replaced` of which it takes the place of. */
  replaceWaiting(index: number, replaced: number, ...by: OutputFrame[]): void {
    const gone = this.#frames.splice(this.#head + index, replaced, ...by);
    for (const frame of gone) this.#bytes -= frame.size;
    for (const frame of by) this.#bytes += frame.size;
  }

  /** Changes waiting frames in a way that may change their size. */
  updateWaiting(change: (frame: OutputFrame) => void): void {
    for (let i = this.#sentCount; i < this.length; i++) {
      const frame = this.at(i)!;
      this.#bytes -= frame.size;
      change(frame);
      this.#bytes += frame.size;
    }
  }

  /** Empties the queue and returns what was in it. */
  clear(): OutputFrame[] {
    const frames = this.#frames.slice(this.#head);
    this.#frames = [];
    this.#head = 0;
    this.#sentCount = 0;
    this.#sentBytes = 0;
    this.#bytes = 0;
    return frames;
  }
}
