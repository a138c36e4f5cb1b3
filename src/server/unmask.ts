/** Taking the mask off a WebSocket frame's payload (RFC 6455 §5.3). */
import { createRequire } from 'node:module';

type Unmask = (bytes: Uint8Array, mask: Uint8Array) => void;

/** Bytes below which calling native code costs more than it saves. */
const NATIVE_FROM_BYTES = 512;

const native = loadNative();
const maskBytes = new Uint8Array(4);

/**
 * Takes the mask off in place.
 * @param words the same memory as `bytes`, from its first byte on: its last word may reach past `length`
 * @param bytes as many as the payload has
 * @param mask the four bytes of the key in the order of the wire, the first in the lowest bits
 */
export function unmask(words: Int32Array, bytes: Uint8Array, mask: number): void {
  const { length } = bytes;
  if (length >= NATIVE_FROM_BYTES && native !== undefined) {
    maskBytes[0] = mask;
    maskBytes[1] = mask >>> 8;
    maskBytes[2] = mask >>> 16;
    maskBytes[3] = mask >>> 24;
    native(bytes, maskBytes);
    return;
  }
  const end = (length + 3) >>> 2;
  for (let index = 0; index < end; index++) words[index]! ^= mask;
}

/**
 * bufferutil, which ws uses as well. Where it has no binary for the platform it is not installed, or comes with a loop over
 * bytes in JavaScript, which takes seven times what the one over words above does.
 */
function loadNative(): Unmask | undefined {
  const load = createRequire(import.meta.url);
  try {
    const { unmask: found } = load('bufferutil') as { unmask: Unmask };
    const { unmask: fallback } = load('bufferutil/fallback.js') as { unmask: Unmask };
    return found === fallback ? undefined : found;
  } catch {
    return undefined;
  }
}
