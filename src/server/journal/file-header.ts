import { checkAttributes } from '../../ring/index.js';
import type { Salt } from './checksum.js';
import { structureCrc } from './checksum.js';
import type { JournalFile } from './journal-file.js';
import {
  FORMAT_VERSION,
  header,
  HEADER_BYTES,
  HEADER_COPIES_AT,
  HEADER_MAGIC,
  NAME_BYTES,
} from './layout.js';

/** What a journal file says of itself. Written once. */
export interface FileHeader {
  readonly map: string;
  readonly incarnation: string;
  /** Bytes of the ring's data area. */
  readonly maxEntries: number;
  /** Bytes of each of the four producer tables. */
  readonly tableBytes: number;
  readonly salt: Salt;
  /** Wall clock. Unit: ms since 1970. */
  readonly createdMs: number;
}

/** The 512 bytes of a header. @throws RangeError when map or incarnation are too long for it */
export function encodeHeader(fields: FileHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(header.magic, HEADER_MAGIC, true);
  view.setUint32(header.version, FORMAT_VERSION, true);
  view.setUint32(header.maxEntries, fields.maxEntries, true);
  view.setUint32(header.tableBytes, fields.tableBytes, true);
  view.setBigUint64(header.createdMs, BigInt(Math.trunc(fields.createdMs)), true);
  fields.salt.forEach((word, index) => view.setInt32(header.salt + 4 * index, word, true));
  view.setUint8(header.mapLength, putName(bytes, header.map, fields.map));
  view.setUint8(header.incarnationLength, putName(bytes, header.incarnation, fields.incarnation));
  view.setUint32(header.crc, structureCrc(bytes, header.crc, HEADER_BYTES), true);
  return bytes;
}

/** The header in these 512 bytes, or why they are none. */
export function decodeHeader(bytes: Uint8Array): FileHeader | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getBigUint64(header.magic, true) !== HEADER_MAGIC)
    return 'this is not a journal of ringbufd';
  const version = view.getUint32(header.version, true);
  if (view.getUint32(header.crc, true) !== structureCrc(bytes, header.crc, HEADER_BYTES))
    return 'the checksum of the header is wrong';
  if (version !== FORMAT_VERSION)
    return `the format has version ${version}, this ringbufd reads ${FORMAT_VERSION}`;
  const maxEntries = view.getUint32(header.maxEntries, true);
  if (checkAttributes({ maxEntries }) !== 0) return `max_entries ${maxEntries} is impossible`;
  return {
    map: takeName(bytes, header.map, view.getUint8(header.mapLength)),
    incarnation: takeName(bytes, header.incarnation, view.getUint8(header.incarnationLength)),
    maxEntries,
    tableBytes: view.getUint32(header.tableBytes, true),
    salt: Int32Array.from({ length: 4 }, (_, index) => view.getInt32(header.salt + 4 * index, true)),
    createdMs: Number(view.getBigUint64(header.createdMs, true)),
  };
}

/** A header that verifies, and where its other copy does not. */
export interface ReadHeader {
  readonly fields: FileHeader;
  /** Offsets of copies that do not verify: at most one. */
  readonly damagedAt: readonly number[];
}

/** The header of a journal file, from the copy that verifies; or why there is none. */
export async function readHeader(file: JournalFile): Promise<ReadHeader | string> {
  let fields: FileHeader | undefined;
  let reason = '';
  const damagedAt: number[] = [];
  for (const at of HEADER_COPIES_AT) {
    const bytes = new Uint8Array(HEADER_BYTES);
    await file.read(at, bytes);
    const found = decodeHeader(bytes);
    if (typeof found !== 'string') {
      fields ??= found;
      continue;
    }
    damagedAt.push(at);
    if (reason === '') reason = found;
  }
  return fields === undefined ? reason : { fields, damagedAt };
}

/**
 * Writes a damaged copy anew, from the one that verifies, which is not touched: whenever this is cut short, the file has
 * a good one. Without it a second flipped bit, months later, would leave none.
 */
export async function repairHeader(file: JournalFile, { fields, damagedAt }: ReadHeader): Promise<void> {
  for (const at of damagedAt) await file.write(at, encodeHeader(fields));
  await file.sync();
}

/** What people call the copy at an offset. */
export function headerName(at: number): string {
  return at === HEADER_COPIES_AT[0] ? 'header A' : 'header B';
}

function putName(bytes: Uint8Array, at: number, name: string): number {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length > NAME_BYTES) throw new RangeError(`"${name}" has more than ${NAME_BYTES} bytes`);
  bytes.set(encoded, at);
  return encoded.length;
}

function takeName(bytes: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(bytes.subarray(at, at + length));
}
