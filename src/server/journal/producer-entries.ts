import type { KeptBooks, KeptProducer } from './journal.js';
import { entry, ENTRY_FORGOTTEN, ENTRY_STATE } from './layout.js';

/** One entry of a table or of a commit's changes. */
export type ProducerEntry =
  | { readonly kind: 'state'; readonly state: KeptProducer }
  | { readonly kind: 'forgotten'; readonly id: string };

const BOOKS = [
  'acceptedSamples',
  'acceptedBytes',
  'drainedSamples',
  'drainedBytes',
  'discardedSamples',
  'discardedBytes',
  'deadLetteredSamples',
  'deadLetteredBytes',
  'unattributedSamples',
  'unattributedBytes',
  'acceptedHash',
  'drainedHash',
] as const satisfies readonly (keyof KeptBooks)[];

/** Of a producer that has put nothing into a map. */
export const NO_BOOKS: KeptBooks = {
  handle: 0,
  openReservations: 0,
  acceptedSamples: 0,
  acceptedBytes: 0,
  drainedSamples: 0,
  drainedBytes: 0,
  discardedSamples: 0,
  discardedBytes: 0,
  deadLetteredSamples: 0,
  deadLetteredBytes: 0,
  unattributedSamples: 0,
  unattributedBytes: 0,
  acceptedHash: 0,
  drainedHash: 0,
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a producer's state, a multiple of 8. */
export function encodeState(state: KeptProducer): Uint8Array {
  const bytes = encodeNames(ENTRY_STATE, state.id, state.owner);
  const view = new DataView(bytes.buffer);
  view.setUint32(entry.partial, state.partial, true);
  view.setBigUint64(entry.lastSeq, BigInt(state.lastSeq), true);
  view.setBigUint64(entry.ackedPos, BigInt.asUintN(64, state.ackedPos), true);
  view.setBigUint64(entry.acceptedSamples, BigInt(state.acceptedSamples), true);
  view.setBigUint64(entry.acceptedBytes, BigInt(state.acceptedBytes), true);
  view.setBigUint64(entry.lastSeenMs, BigInt(Math.trunc(state.lastSeenMs)), true);
  view.setUint32(entry.handle, state.books.handle, true);
  view.setUint32(entry.openReservations, state.books.openReservations, true);
  BOOKS.forEach((name, index) => view.setBigUint64(entry.books + 8 * index, BigInt(state.books[name]), true));
  return bytes;
}

/** The bytes that say that a producer's state is gone. */
export function encodeForgotten(id: string): Uint8Array {
  return encodeNames(ENTRY_FORGOTTEN, id, '');
}

/** Reads `count` entries; stops early, with fewer, where the bytes make no sense (they passed a CRC, so: never). */
export function decodeEntries(bytes: Uint8Array, count: number): ProducerEntry[] {
  const entries: ProducerEntry[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; entries.length < count && at + entry.strings <= bytes.length;) {
    const idEnd = at + entry.strings + view.getUint8(at + entry.idLength);
    const ownerEnd = idEnd + view.getUint8(at + entry.ownerLength);
    if (ownerEnd > bytes.length) break;
    const id = decoder.decode(bytes.subarray(at + entry.strings, idEnd));
    const u64 = (field: number): number => Number(view.getBigUint64(at + field, true));
    if (view.getUint8(at + entry.kind) === ENTRY_FORGOTTEN) entries.push({ kind: 'forgotten', id });
    else
      entries.push({
        kind: 'state',
        state: {
          id,
          owner: decoder.decode(bytes.subarray(idEnd, ownerEnd)),
          lastSeq: u64(entry.lastSeq),
          partial: view.getUint32(at + entry.partial, true),
          ackedPos: view.getBigUint64(at + entry.ackedPos, true),
          acceptedSamples: u64(entry.acceptedSamples),
          acceptedBytes: u64(entry.acceptedBytes),
          lastSeenMs: u64(entry.lastSeenMs),
          books: decodeBooks(view, at),
        },
      });
    at = padded(ownerEnd - at) + at;
  }
  return entries;
}

function decodeBooks(view: DataView, at: number): KeptBooks {
  const books = {
    ...NO_BOOKS,
    handle: view.getUint32(at + entry.handle, true),
    openReservations: view.getUint32(at + entry.openReservations, true),
  } as Record<keyof KeptBooks, number>;
  BOOKS.forEach(
    (name, index) => (books[name] = Number(view.getBigUint64(at + entry.books + 8 * index, true))),
  );
  return books;
}

function encodeNames(kind: number, id: string, owner: string): Uint8Array {
  const idBytes = encoder.encode(id);
  const ownerBytes = encoder.encode(owner);
  const bytes = new Uint8Array(padded(entry.strings + idBytes.length + ownerBytes.length));
  bytes[entry.kind] = kind;
  bytes[entry.idLength] = idBytes.length;
  bytes[entry.ownerLength] = ownerBytes.length;
  bytes.set(idBytes, entry.strings);
  bytes.set(ownerBytes, entry.strings + idBytes.length);
  return bytes;
}

function padded(length: number): number {
  return (length + 7) & ~7;
}
