/* eslint-disable */
// @ts-nocheck: this is AssemblyScript.
// Takes samples that are one little-endian i32 each, logs those over a threshold, and stops the drain at the third in a row.
import { log } from './ringbuf';

const MAX_SAMPLE: i32 = 4096;
const THRESHOLD: i32 = 100;
const MAX_IN_A_ROW: i32 = 3;
const WARN: i32 = 3;

const buffer: usize = memory.data(MAX_SAMPLE, 8);
const message: usize = memory.data<u8>([0x6f, 0x76, 0x65, 0x72]); // "over"
let inARow: i32 = 0;

export function sample_buffer(): usize {
  return buffer;
}

export function sample_buffer_size(): i32 {
  return MAX_SAMPLE;
}

export function on_sample(sample: usize, len: i32): i32 {
  if (len != 4 || load<i32>(sample) <= THRESHOLD) {
    inARow = 0;
    return 0;
  }
  log(WARN, message, 4);
  if (++inARow < MAX_IN_A_ROW) return 0;
  inARow = 0;
  return 1;
}
