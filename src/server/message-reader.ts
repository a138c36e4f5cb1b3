/**
 * Reads the WebSocket frames that carry nearly all bytes of a busy producer, and leaves every other one to ws.
 *
 * ws makes a new buffer for each message that arrives in more than one piece, copies the pieces, takes the mask off, and
 * emits an event; for frames of 64 KiB that was half of the daemon's time, most of it for memory that was never touched
 * before. Here the pieces are copied into one and the same memory, which the processor has in its cache, and the message
 * is lent out from there. What RFC 6455 asks of a server beyond that stays with ws, which gets those frames byte for byte:
 * ping, pong and Close as they come; and from the first frame on that it could refuse, be it at its end (text, fragments,
 * a message over a limit, every violation), all that follows, so that nothing is taken behind a frame that ends the connection.
 */
import { unmask } from './unmask.js';

/** Where frames go. */
export interface MessageTarget {
  /** One whole binary message. The bytes are lent: they hold another message once this returns. */
  message(data: Uint8Array): void;
  /** Bytes of frames that are not read here, in order and without gaps between them. */
  other(bytes: Buffer): void;
}

export interface MessageLimits {
  /** Of a longer one ws gets the frame, and refuses it. */
  maxMessageBytes: number;
  /** The same for a message that arrives in more pieces: each holds memory. At least {@link MIN_PIECES}. */
  maxPieces: number;
}

/** RFC 6455 §5.2: the first byte of a frame is FIN, three bits that are 0, and the opcode. */
const FIN = 0x80;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const MASKED = 0x80;
/** Values of the 7-bit length that say how many bytes of length follow. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;
/** Of every frame, before a longer length and the mask. */
const HEAD_BYTES = 2;
const MAX_HEAD_BYTES = 14;
/**
 * More than the bytes of a control frame: ws never refuses one that is as it must be, in whatever pieces it comes, and what is
 * behind it may be read.
 */
export const MIN_PIECES = 140;

/** The longest message that is read here. A longer one is rare, and its memory would leave the cache. Unit: bytes. */
export const MAX_LENT_BYTES = 256 * 1024;
/** Up to here a message is copied byte by byte: that costs less than the view of it that a block copy wants. Unit: bytes. */
const MAX_LOOPED_BYTES = 192;
/** Up to here there is a view of its own for each length: making one costs more than reading the message. Unit: bytes. */
const MAX_VIEW_BYTES = 4096;

/** What every message is put together in: nothing of it lives longer than one call. A whole number of words. */
const lent = Buffer.from(new ArrayBuffer(MAX_LENT_BYTES));
const lentWords = new Int32Array(lent.buffer);
const views: (Buffer | undefined)[] = new Array<undefined>(MAX_VIEW_BYTES + 1).fill(undefined);

const NO_HEAD = Buffer.alloc(0);

/** What is done with the bytes that come. */
const enum Mode {
  READ,
  /** ws gets everything. */
  PASS,
  /** Behind a Close frame nothing counts (RFC 6455 §5.5.1). */
  IGNORE,
}

export class MessageReader {
  readonly #target: MessageTarget;
  readonly #maxMessageBytes: number;
  readonly #maxPieces: number;
  #mode: Mode = Mode.READ;
  /** Bytes of a control frame for ws that are still to come. */
  #passing = 0;
  /** Whether it is the peer's Close. */
  #closing = false;
  /** The beginning of a frame whose head is not complete. What ws gets of it, it reads at once, or is the last. */
  #head: Buffer = NO_HEAD;
  #headBytes = 0;
  /** Pieces of the payload of a message that is not complete, and how many bytes of it are missing. */
  #pieces: Buffer[] = [];
  #missing = 0;
  #payloadBytes = 0;
  #mask = 0;

  /** @throws RangeError for a limit under {@link MIN_PIECES} */
  constructor(target: MessageTarget, limits: MessageLimits) {
    if (limits.maxPieces < MIN_PIECES) throw new RangeError(`maxPieces ${limits.maxPieces} < ${MIN_PIECES}`);
    this.#target = target;
    this.#maxMessageBytes = Math.min(limits.maxMessageBytes, MAX_LENT_BYTES);
    this.#maxPieces = limits.maxPieces;
  }

  /** Takes what the socket has read. */
  read(chunk: Buffer): void {
    let at = 0;
    if (this.#headBytes > 0) at = this.#continueHead(chunk);
    if (this.#missing > 0) at = this.#continueMessage(chunk, at);
    while (at < chunk.length) {
      if (this.#mode !== Mode.READ) {
        if (this.#mode === Mode.PASS) this.#target.other(chunk.subarray(at));
        return;
      }
      if (this.#passing > 0) {
        const end = Math.min(at + this.#passing, chunk.length);
        this.#passing -= end - at;
        this.#target.other(chunk.subarray(at, end));
        at = end;
        if (this.#passing === 0 && this.#closing) this.#mode = Mode.IGNORE;
        continue;
      }
      const size = this.#headSize(chunk, at, chunk.length);
      if (at + size > chunk.length) {
        this.#headBytes = chunk.copy(this.#ownHead(), 0, at);
        return;
      }
      at = this.#begin(chunk, at, size, chunk, at + size);
    }
  }

  /** Made when it is needed: most connections of many are idle. */
  #ownHead(): Buffer {
    if (this.#head === NO_HEAD) this.#head = Buffer.alloc(MAX_HEAD_BYTES);
    return this.#head;
  }

  /** Completes a head that began in an earlier chunk. @returns where the bytes behind it begin */
  #continueHead(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      this.#head[this.#headBytes++] = chunk[at++]!;
      const size = this.#headSize(this.#head, 0, this.#headBytes);
      if (this.#headBytes < size) continue;
      this.#headBytes = 0;
      return this.#begin(this.#head, 0, size, chunk, at);
    }
    return at;
  }

  /**
   * A head is complete: reads the message behind it, waits for the rest of it, or gives the frame to ws.
   * @param head the bytes of the head, from `from` on
   * @param chunk and `at`: what follows
   * @returns up to where `chunk` was read
   */
  #begin(head: Buffer, from: number, size: number, chunk: Buffer, at: number): number {
    if (size === HEAD_BYTES) {
      this.#beginControl(head[from]!, head[from + 1]!);
      this.#target.other(head.subarray(from, from + size));
      return at;
    }
    const length = payloadLength(head, from);
    if (length > this.#maxMessageBytes) {
      this.#mode = Mode.PASS;
      this.#target.other(head.subarray(from, from + size));
      return at;
    }
    const mask = from + size - MASK_BYTES;
    this.#mask = head[mask]! | (head[mask + 1]! << 8) | (head[mask + 2]! << 16) | (head[mask + 3]! << 24);
    this.#payloadBytes = length;
    const end = at + length;
    if (end <= chunk.length) {
      if (length <= MAX_LOOPED_BYTES)
        for (let index = 0; index < length; index++) lent[index] = chunk[at + index]!;
      else lent.set(chunk.subarray(at, end));
      this.#deliver();
      return end;
    }
    this.#missing = length;
    // ws has to see the whole frame if it turns out to come in too many pieces.
    if (head !== this.#head) head.copy(this.#ownHead(), 0, from, from + size);
    return this.#continueMessage(chunk, at);
  }

  /** A frame that is not read here begins: after a control frame that is as it must be, messages are. */
  #beginControl(first: number, second: number): void {
    const isControl = first === (FIN | PING) || first === (FIN | PONG) || first === (FIN | CLOSE);
    const length = second & ~MASKED;
    this.#closing = first === (FIN | CLOSE);
    if (isControl && second >= MASKED && length < LENGTH_16) this.#passing = MASK_BYTES + length;
    else this.#mode = Mode.PASS;
  }

  /** Keeps a piece of a message, or delivers the message. @returns up to where `chunk` was read */
  #continueMessage(chunk: Buffer, at: number): number {
    const end = at + this.#missing;
    if (at < chunk.length && this.#pieces.length >= this.#maxPieces) {
      this.#giveUpMessage();
      return at;
    }
    if (end > chunk.length) {
      if (at < chunk.length) this.#pieces.push(chunk.subarray(at));
      this.#missing = end - chunk.length;
      return chunk.length;
    }
    let filled = 0;
    for (const piece of this.#pieces) {
      lent.set(piece, filled);
      filled += piece.length;
    }
    lent.set(chunk.subarray(at, end), filled);
    this.#pieces = [];
    this.#missing = 0;
    this.#deliver();
    return end;
  }

  #deliver(): void {
    const data = viewOf(this.#payloadBytes);
    unmask(lentWords, data, this.#mask);
    this.#target.message(data);
  }

  /** Too many pieces: ws gets what there is of the frame, and refuses it by its own limit. */
  #giveUpMessage(): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#missing = 0;
    this.#mode = Mode.PASS;
    this.#target.other(this.#head.subarray(0, this.#headSize(this.#head, 0, MAX_HEAD_BYTES)));
    for (const piece of pieces) this.#target.other(piece);
  }

  /**
   * Bytes of the head that begins at `from`, as far as they are needed to know what to do with the frame; of one that is
   * not there as a whole, more than there are. As soon as ws would refuse a frame it gets what there is of it.
   */
  #headSize(bytes: Buffer, from: number, end: number): number {
    if (from + HEAD_BYTES > end) return HEAD_BYTES;
    const second = bytes[from + 1]!;
    if (bytes[from] !== (FIN | BINARY) || second < MASKED) return HEAD_BYTES;
    const short = second & ~MASKED;
    if (short < LENGTH_16) return HEAD_BYTES + MASK_BYTES;
    const size = HEAD_BYTES + (short === LENGTH_64 ? 8 : 2);
    const isTooLong = from + size <= end && payloadLength(bytes, from) > this.#maxMessageBytes;
    return isTooLong ? size : size + MASK_BYTES;
  }
}

function payloadLength(head: Buffer, from: number): number {
  const length = head[from + 1]! & ~MASKED;
  if (length === LENGTH_16) return (head[from + 2]! << 8) | head[from + 3]!;
  if (length === LENGTH_64) return head.readUInt32BE(from + 2) * 2 ** 32 + head.readUInt32BE(from + 6);
  return length;
}

/** The first `length` bytes of the memory that is lent. */
function viewOf(length: number): Buffer {
  if (length > MAX_VIEW_BYTES) return lent.subarray(0, length);
  return (views[length] ??= lent.subarray(0, length));
}
