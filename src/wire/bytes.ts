/** Little-endian reads and writes on a Uint8Array at any alignment, without a DataView per message. */

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)) + bytes[at + 3]! * 2 ** 24;
}

export function readU64(bytes: Uint8Array, at: number): bigint {
  const low = readU32(bytes, at);
  const high = readU32(bytes, at + 4);
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}

/** Writes a safe integer as u64. */
export function writeU64Number(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 2 ** 32);
  writeU32(bytes, at + 4, Math.floor(value / 2 ** 32));
}

/** Writes a BigInt as u64, modulo 2^64. */
export function writeU64(bytes: Uint8Array, at: number, value: bigint): void {
  writeU32(bytes, at, Number(BigInt.asUintN(32, value)));
  writeU32(bytes, at + 4, Number(BigInt.asUintN(32, value >> 32n)));
}
