import {
  BPF_RINGBUF_HDR_SZ,
  DISCARD_MASK,
  DYNPTR_MAX_SIZE,
  LENGTH_MASK,
  recordSize,
} from '../ring/layout.js';
import { buildRun, FRAME_HEADER_SIZE, writeOutputHeader } from '../wire/index.js';
import { RingbufError } from './errors.js';
import type { OutputCall } from './output-call.js';

/**
 * One OUTPUT frame, built once: header room, then the run. It is kept until acknowledged and sent again from the same
 * bytes; only the header is written anew.
 */
export class OutputFrame {
  /** The call that waits for it; `undefined` for a closing frame. */
  call: OutputCall | undefined;
  /** The number under which the daemon may know this very content; 0 = it does not. */
  sentAs = 0;
  /** Samples that the daemon said it holds of this frame. */
  accepted = 0;
  readonly atomic: boolean;
  #bytes: Uint8Array;
  #records: number;

  /** @param bytes 16 free bytes, then a run of `records` records */
  constructor(bytes: Uint8Array, records: number, atomic: boolean) {
    this.#bytes = bytes;
    this.#records = records;
    this.atomic = atomic;
  }

  /**
   * A frame without samples. Accepted under a number of which the daemon holds a part, it closes that part for good:
   * from then on no reconnect can mistake it for a part of what follows.
   */
  static closing(): OutputFrame {
    return new OutputFrame(new Uint8Array(FRAME_HEADER_SIZE), 0, false);
  }

  get records(): number {
    return this.#records;
  }

  /** Bytes of the whole frame. */
  get size(): number {
    return this.#bytes.length;
  }

  get bodySize(): number {
    return this.#bytes.length - FRAME_HEADER_SIZE;
  }

  /** Numbers the frame and returns the bytes to send. */
  stamp(seq: number): Uint8Array {
    // A part that the daemon holds may be skipped only if it is a part of this content.
    writeOutputHeader(this.#bytes, seq, this.atomic, this.sentAs === seq && this.call !== undefined);
    this.sentAs = seq;
    return this.#bytes;
  }

  /** Free bytes of the ring that the next step needs: the first record that is not stored, or all if atomic. */
  bytesToGoOn(): number {
    if (this.atomic) return this.bodySize;
    const at = this.#offsetOf(this.accepted);
    return at >= this.#bytes.length ? 0 : recordSize(lengthAt(this.#bytes, at));
  }

  /** Cuts off, in place, the samples that are stored: what is left is a frame of its own. */
  dropAccepted(): void {
    if (this.accepted === 0) return;
    const dropped = Math.min(this.accepted, this.#records);
    // The header moves into the bytes of the records that are gone.
    this.#bytes = this.#bytes.subarray(this.#offsetOf(dropped) - FRAME_HEADER_SIZE);
    this.#records -= dropped;
    this.call?.addAccepted(dropped);
    this.accepted = 0;
  }

  #offsetOf(record: number): number {
    let at = FRAME_HEADER_SIZE;
    for (let i = 0; i < record && at < this.#bytes.length; i++) at += recordSize(lengthAt(this.#bytes, at));
    return at;
  }
}

/** What one frame may hold, in bytes: `body` of a frame as WELCOME allows it, and the `ring`. */
export interface FrameLimits {
  readonly body: number;
  readonly ring: number;
}

/**
 * Lays samples out as frames of at most the limits' size, in order; no sample is split.
 * @throws RingbufError E2BIG for a sample, or an atomic batch, that could never be stored
 */
export function framesFromSamples(
  samples: readonly Uint8Array[],
  atomic: boolean,
  limits: FrameLimits,
): OutputFrame[] {
  const largest = Math.min(limits.body, limits.ring);
  const frames: OutputFrame[] = [];
  let first = 0;
  let size = 0;
  for (let i = 0; i < samples.length; i++) {
    const record = checkedRecordSize(samples[i]!.length, largest);
    if (size + record > largest) {
      if (atomic) throw atomicTooBig(largest);
      frames.push(frameOf(samples.slice(first, i), atomic));
      first = i;
      size = 0;
    }
    size += record;
  }
  if (first < samples.length) frames.push(frameOf(first === 0 ? samples : samples.slice(first), atomic));
  return frames;
}

function frameOf(samples: readonly Uint8Array[], atomic: boolean): OutputFrame {
  return new OutputFrame(buildRun(samples, FRAME_HEADER_SIZE), samples.length, atomic);
}

/**
 * The same for a run that is laid out already. Its bytes are copied once, behind room for a header.
 * @throws RingbufError EINVAL for a run whose headers cannot be walked, E2BIG as for samples
 */
export function framesFromRun(run: Uint8Array, atomic: boolean, limits: FrameLimits): OutputFrame[] {
  const largest = Math.min(limits.body, limits.ring);
  const frames: OutputFrame[] = [];
  let first = 0;
  let records = 0;
  let at = 0;
  const cut = (): void => {
    if (records === 0) return;
    const bytes = new Uint8Array(FRAME_HEADER_SIZE + at - first);
    bytes.set(run.subarray(first, at), FRAME_HEADER_SIZE);
    frames.push(new OutputFrame(bytes, records, atomic));
    first = at;
    records = 0;
  };
  while (at < run.length) {
    const length = run.length - at < BPF_RINGBUF_HDR_SZ ? -1 : lengthAt(run, at);
    // One comparison for BUSY (negative) and DISCARD (above the mask).
    if (length < 0 || length > LENGTH_MASK || recordSize(length) > run.length - at)
      throw new RingbufError('EINVAL', 'BAD_ARGUMENT', `byte ${at} of the run is not the start of a record`);
    const record = checkedRecordSize(length, largest);
    if (at - first + record > largest) {
      if (atomic) throw atomicTooBig(largest);
      cut();
    }
    at += record;
    records++;
  }
  cut();
  return frames;
}

/** The header word of the record at byte `at`, as int32. */
function lengthAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function checkedRecordSize(length: number, largest: number): number {
  if (length > DYNPTR_MAX_SIZE || length >= DISCARD_MASK || recordSize(length) > largest)
    throw new RingbufError(
      'E2BIG',
      'TOO_BIG',
      `a sample of ${length} bytes takes more than the ${largest} bytes that a frame and the ring can hold`,
    );
  return recordSize(length);
}

function atomicTooBig(largest: number): RingbufError {
  return new RingbufError(
    'E2BIG',
    'TOO_BIG',
    `an atomic output is one frame, of at most ${largest} bytes as records`,
  );
}
