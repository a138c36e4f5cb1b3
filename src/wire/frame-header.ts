import { writeU32, writeU64 } from './bytes.js';
import { FRAME_HEADER_SIZE } from './frames.js';

/**
 * A frame with its header written and its body still zero: what every encoder of both protocols starts with.
 * @param bodySize bytes behind the header
 */
export function startFrame(
  op: number,
  flags: number,
  arg: number,
  seq: bigint,
  bodySize: number,
): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_SIZE + bodySize);
  bytes[0] = op;
  bytes[1] = flags;
  writeU32(bytes, 4, arg);
  writeU64(bytes, 8, seq);
  return bytes;
}
