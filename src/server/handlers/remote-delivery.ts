/** Puts samples of a run into a DELIVER message: whole samples, as many as fit, copied once. */
import { BPF_RINGBUF_HDR_SZ, recordSize, type SampleRun } from '../../ring/index.js';
import { startDeliver } from '../../wire/index.js';

/** Which samples of a run go into one delivery. */
export interface DeliverySpan {
  /** Index of the first sample. */
  first: number;
  samples: number;
  /** Bytes of their records. */
  runBytes: number;
  /** Distance of the first record from the head of the ring, in bytes. */
  distance: number;
}

/**
 * The longest span from sample `first` on whose records lie back to back in the ring (a discarded record ends it, so that
 * the position of each sample follows from the position of the first) and take at most `maxRunBytes`; never less than one.
 */
export function nextSpan(run: SampleRun, first: number, maxRunBytes: number): DeliverySpan {
  const span: DeliverySpan = { first, samples: 0, runBytes: 0, distance: 0 };
  let over = false;
  run.forEach((sample, index, distance) => {
    if (index < first || over) return;
    const size = recordSize(sample.size);
    if (span.samples === 0) span.distance = distance;
    else if (distance !== span.distance + span.runBytes || span.runBytes + size > maxRunBytes) {
      over = true;
      return;
    }
    span.samples++;
    span.runBytes += size;
  });
  return span;
}

/**
 * The DELIVER message of a span.
 * @param headPosition position of the record at the head of the ring
 * @param ctx JSON in UTF-8, or nothing
 */
export function deliverMessage(
  run: SampleRun,
  span: DeliverySpan,
  number: bigint,
  headPosition: bigint,
  ctx: Uint8Array,
): Uint8Array {
  const position = BigInt.asUintN(64, headPosition + BigInt(span.distance));
  const head = { seq: number, samples: span.samples, position, ctx };
  const { bytes, runAt } = startDeliver(head, span.runBytes);
  const view = new DataView(bytes.buffer);
  const end = span.first + span.samples;
  let at = runAt;
  run.forEach((sample, index) => {
    if (index < span.first || index >= end) return;
    view.setUint32(at, sample.size, true);
    sample.read(bytes, at + BPF_RINGBUF_HDR_SZ);
    at += recordSize(sample.size);
  });
  return bytes;
}
