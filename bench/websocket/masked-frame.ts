/**
 * A client's WebSocket frames, masked before the clock starts. All with one key: nobody is to be protected here, and the
 * server's work is the same with any key but zero, which it would notice and skip.
 */
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;

/** RFC 6455 §5.2. */
export const Opcode = { TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Bytes of a client's frame header for a payload of `length` bytes, mask included. */
export function headerSize(length: number): number {
  return (length < 126 ? 2 : length < 65536 ? 4 : 10) + MASK.length;
}

/** One final frame. */
export function maskedFrame(payload: Uint8Array, opcode: number = Opcode.BINARY): Buffer {
  const { length } = payload;
  const start = headerSize(length);
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = 0x80 | opcode;
  if (length < 126) {
    frame[1] = 0x80 | length;
  } else if (length < 65536) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(MASK, start - MASK.length);
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ MASK[i & 3]!;
  return frame;
}

const maskWord = Buffer.from(MASK).readUInt32LE();

/**
 * Overwrites a u64 (below 2^53) of a masked payload, in which it begins at a multiple of 4.
 * @param view over the frames
 * @param at where the u64 is, in the view
 */
export function patchMaskedU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, (value ^ maskWord) >>> 0, true);
  view.setUint32(at + 4, (Math.floor(value / 2 ** 32) ^ maskWord) >>> 0, true);
}

/**
 * Overwrites a u16, high byte first, of a masked payload.
 * @param start where the payload begins in the frame
 * @param at where the u16 is in the payload
 */
export function patchMaskedU16(frame: Uint8Array, start: number, at: number, value: number): void {
  frame[start + at] = (value >>> 8) ^ MASK[at & 3]!;
  frame[start + at + 1] = (value & 0xff) ^ MASK[(at + 1) & 3]!;
}

/** Cuts a server's frames, which are not masked, out of what arrives. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @param onPayload gets a view of each payload, valid during the call, and the opcode */
  push(chunk: Buffer, onPayload: (payload: Buffer, opcode: number) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 2) {
      const short = bytes[at + 1]! & 0x7f;
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
      if (start > bytes.length) break;
      const length =
        short < 126
          ? short
          : short === 126
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2));
      if (start + length > bytes.length) break;
      onPayload(bytes.subarray(start, start + length), bytes[at]! & 0x0f);
      at = start + length;
    }
    this.#rest = bytes.subarray(at);
  }
}
