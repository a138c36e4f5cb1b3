import { BPF_RINGBUF_HDR_SZ, recordSize } from '../ring/layout.js';
import { writeU32 } from './bytes.js';
import { writeOutputHeader } from './encode.js';
import { FRAME_HEADER_SIZE } from './frames.js';

/** Bytes that `samples` take as a run. */
export function runSize(samples: readonly Uint8Array[]): number {
  let size = 0;
  for (const sample of samples) size += recordSize(sample.length);
  return size;
}

/**
 * Lays samples out as a run (u32 length, u32 0, payload, zero padding to 8) with `headroom` free bytes before it.
 * @returns headroom + run; padding and headroom are zero
 */
export function buildRun(samples: readonly Uint8Array[], headroom = 0): Uint8Array {
  const bytes = new Uint8Array(headroom + runSize(samples));
  let at = headroom;
  for (const sample of samples) {
    writeU32(bytes, at, sample.length);
    bytes.set(sample, at + BPF_RINGBUF_HDR_SZ);
    at += recordSize(sample.length);
  }
  return bytes;
}

/** A whole OUTPUT frame for `samples`. */
export function buildOutputFrame(
  seq: number,
  samples: readonly Uint8Array[],
  options: { atomic?: boolean; resend?: boolean } = {},
): Uint8Array {
  const bytes = buildRun(samples, FRAME_HEADER_SIZE);
  writeOutputHeader(bytes, seq, options.atomic ?? false, options.resend ?? false);
  return bytes;
}
