import { Errno } from './errno.js';
import {
  BPF_F_NUMA_NODE,
  CONSUMER_POS_WORD,
  DATA_OFFSET,
  FREED_POS_WORD,
  MAX_RING_SIZE,
  PRODUCER_POS_WORD,
  RINGBUF_PAGE_SIZE,
  unsigned,
  VISIBLE_POS_WORD,
} from './layout.js';
import { distance, loadLow, loadPosition, publishPosition, storePosition } from './position.js';

/** What `bpf_map_create` is given for a `BPF_MAP_TYPE_USER_RINGBUF`. */
export interface UserRingAttributes {
  /** Bytes of the data area: a power of two and a multiple of 4096. */
  maxEntries: number;
  /** Must be 0. */
  keySize?: number;
  /** Must be 0. */
  valueSize?: number;
  /** 0 or BPF_F_NUMA_NODE (accepted, ignored). */
  mapFlags?: number;
}

/**
 * Who writes into the ring.
 * `direct`: somebody with the kernel's raw powers, so that both positions are compared as full u64.
 * `managed`: only code of ours, so that 0 ≤ prod - cons ≤ ring size always holds and the low halves decide.
 */
export type RingMode = 'managed' | 'direct';

/** Answer of {@link UserRing.query}: the four `BPF_RB_*` values, in bytes. */
export interface RingQuery {
  availData: bigint;
  ringSize: bigint;
  consumerPos: bigint;
  producerPos: bigint;
}

/**
 * Whether a map of these attributes may be created: 0, or -EINVAL, or -E2BIG for a valid size over 2^30 bytes (a limit
 * of ringbufd, not of the kernel). Source: `ringbuf_map_alloc`.
 */
export function checkAttributes(attributes: UserRingAttributes): number {
  const { maxEntries, keySize = 0, valueSize = 0, mapFlags = 0 } = attributes;
  if (keySize !== 0 || valueSize !== 0) return -Errno.EINVAL;
  if (mapFlags !== 0 && mapFlags !== BPF_F_NUMA_NODE) return -Errno.EINVAL;
  if (!Number.isSafeInteger(maxEntries) || maxEntries <= 0) return -Errno.EINVAL;
  if (maxEntries % RINGBUF_PAGE_SIZE !== 0 || !Number.isInteger(Math.log2(maxEntries))) return -Errno.EINVAL;
  if (maxEntries > MAX_RING_SIZE) return -Errno.E2BIG;
  return 0;
}

/**
 * Owns the bytes of one ring (a ring image, see layout.ts) and answers what concerns neither producer nor consumer:
 * positions, poll, query. {@link Producer} and {@link Consumer} work on it.
 */
export class UserRing {
  /** Begins with the ring image. {@link share} replaces it and both views of it: look them up for each operation, keep none. */
  readonly buffer: ArrayBufferLike;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Bytes of the data area. */
  readonly size: number;
  readonly mode: RingMode;
  /** Whether another thread may drain: positions and headers are then published with Atomics. */
  readonly shared: boolean;
  /** Whether drains and free space follow a journal: see {@link publish}. */
  readonly journalled: boolean;
  /**
   * On a journalled ring, low half of the position up to which the journal's thread was told that it may read. What is
   * behind it has no reader but this thread.
   */
  shownLow = 0;
  /** Word of the position up to which a drain sees records: the producer position's, unless the ring is journalled. */
  readonly visibleWord: number;
  /** Word of the position from which free space counts: the consumer position's, unless the ring is journalled. */
  readonly freedWord: number;

  /**
   * Attaches to an existing ring image, whatever its positions are.
   * @param journalled for managed rings
   * @param shared whether another thread may drain it; by default, whether it could
   * @param size of the data area; by default, the image takes the whole buffer
   * @throws RangeError when the buffer is not a ring image of a valid size
   */
  constructor(
    buffer: ArrayBufferLike,
    mode: RingMode = 'direct',
    journalled = false,
    shared = isSharedMemory(buffer),
    size = buffer.byteLength - DATA_OFFSET,
  ) {
    const imageBytes = DATA_OFFSET + size;
    if (checkAttributes({ maxEntries: size }) !== 0 || imageBytes > buffer.byteLength)
      throw new RangeError(
        `a ring image is ${DATA_OFFSET} bytes and a power-of-two data area of whole pages, not ${buffer.byteLength} bytes`,
      );
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, imageBytes >> 2);
    this.bytes = new Uint8Array(buffer, 0, imageBytes);
    this.size = size;
    this.mode = mode;
    this.shared = shared;
    this.journalled = journalled;
    this.visibleWord = journalled ? VISIBLE_POS_WORD : PRODUCER_POS_WORD;
    this.freedWord = journalled ? FREED_POS_WORD : CONSUMER_POS_WORD;
  }

  /**
   * Prepares the ring for a worker thread that drains in place: moves it, positions and records as they are, into a
   * SharedArrayBuffer, unless it is in one. Producers and consumers of this object go on with it. Only while no drain is
   * under way; nothing happens when the ring is shared already, unless it is to be done anew: a thread that cannot be
   * ended then keeps an image of the past.
   * @returns the SharedArrayBuffer
   * @throws RangeError when there is no memory for a second image; the ring stays as it was
   */
  share(anew = false): SharedArrayBuffer {
    const { buffer } = this;
    if (buffer instanceof SharedArrayBuffer && !anew) {
      if (!this.shared) moveTo(buffer, this);
      return buffer;
    }
    const image = new SharedArrayBuffer(this.bytes.length);
    new Uint8Array(image).set(this.bytes);
    moveTo(image, this);
    return image;
  }

  /** Whether another thread may move the consumer position on meanwhile: of that, only the low half is to be read. */
  get #isDrainedElsewhere(): boolean {
    return this.shared && this.mode === 'managed';
  }

  /** Bytes between consumer and producer position, modulo 2^64; exact below 2^53. */
  get used(): number {
    if (this.mode === 'managed')
      return unsigned(this.words[PRODUCER_POS_WORD]! - loadLow(this.words, CONSUMER_POS_WORD, this.shared));
    return distance(this.words, PRODUCER_POS_WORD, CONSUMER_POS_WORD);
  }

  /** Bytes that a drain may see: those used, less what is not yet in the journal. */
  get available(): number {
    if (!this.journalled) return this.used;
    return Math.max(0, (this.words[VISIBLE_POS_WORD]! - this.consumerLow) | 0);
  }

  /** Bytes that a producer cannot fill: those used, and on a journalled ring what was released since its checkpoint. */
  get #taken(): number {
    if (!this.journalled) return this.used;
    return unsigned(this.words[PRODUCER_POS_WORD]! - this.words[FREED_POS_WORD]!);
  }

  /** Bytes that a producer may still fill: 0 when the ring is full or its positions are absurd. */
  get free(): number {
    const taken = this.#taken;
    return taken < this.size ? this.size - taken : 0;
  }

  /** poll(2) for POLLOUT. Source: `ringbuf_map_poll_user`. */
  get writable(): boolean {
    return this.#taken < this.size;
  }

  /** Halves of the positions, as int32; the low ones are enough to compare two places of one managed ring. */
  get consumerLow(): number {
    return loadLow(this.words, CONSUMER_POS_WORD, this.shared);
  }

  get producerLow(): number {
    return this.words[PRODUCER_POS_WORD]!;
  }

  get producerHigh(): number {
    return this.words[PRODUCER_POS_WORD + 1]!;
  }

  /** On a shared managed ring: to be read in the thread of its producer, which knows both halves of its own position. */
  get consumerPosition(): bigint {
    if (this.#isDrainedElsewhere)
      return BigInt.asUintN(64, loadPosition(this.words, PRODUCER_POS_WORD) - BigInt(this.used));
    return loadPosition(this.words, CONSUMER_POS_WORD);
  }

  /** For images and tests: a running ring's consumer position moves by draining only. */
  set consumerPosition(position: bigint) {
    storePosition(this.words, CONSUMER_POS_WORD, position);
  }

  get producerPosition(): bigint {
    return loadPosition(this.words, PRODUCER_POS_WORD);
  }

  /** Stores a raw producer position, unchecked: the power that the kernel gives to whoever maps the page. */
  set producerPosition(position: bigint) {
    storePosition(this.words, PRODUCER_POS_WORD, position);
  }

  /** Drains see records up to here. */
  get visiblePosition(): bigint {
    return loadPosition(this.words, this.visibleWord);
  }

  /** The consumer position that counts for producers: the space before it may be filled anew. */
  get freedPosition(): bigint {
    return this.journalled ? loadPosition(this.words, FREED_POS_WORD) : this.consumerPosition;
  }

  /**
   * On a journalled ring: lets drains see the records before `visible`, and producers fill the space before `freed`. In
   * the thread of the producer.
   */
  publish(visible: bigint, freed: bigint): void {
    publishPosition(this.words, VISIBLE_POS_WORD, visible, this.shared);
    publishPosition(this.words, FREED_POS_WORD, freed, this.shared);
  }

  /**
   * Makes the consumer position whole again after the thread that moved it was ended between the stores of its halves. For
   * the thread of the producer of a shared managed ring.
   */
  mendConsumerPosition(): void {
    storePosition(this.words, CONSUMER_POS_WORD, this.consumerPosition);
  }

  /** `bpf_ringbuf_query` for this map type (an extension: the kernel answers it for the kernel-to-user ring only). */
  query(): RingQuery {
    const consumerPos = this.consumerPosition;
    const producerPos = this.producerPosition;
    return {
      availData: BigInt.asUintN(64, producerPos - consumerPos),
      ringSize: BigInt(this.size),
      consumerPos,
      producerPos,
    };
  }
}

function isSharedMemory(buffer: ArrayBufferLike): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
}

/** Fields of a ring are read-only to everybody else. Accessors over private ones cost a drain in runs 4 ns a sample. */
function moveTo(
  image: SharedArrayBuffer,
  ring: { -readonly [Field in 'buffer' | 'words' | 'bytes' | 'shared']: UserRing[Field] },
): void {
  ring.buffer = image;
  ring.words = new Int32Array(image);
  ring.bytes = new Uint8Array(image);
  ring.shared = true;
}

/**
 * Creates an empty ring.
 * @param attributes checked with {@link checkAttributes}
 * @param options.shared over a SharedArrayBuffer, for a worker thread that drains in place
 * @param options.journalled drains and free space follow a journal
 * @param options.memory allocates what the ring lies in: of so many bytes, or more, all 0
 * @throws RangeError when the attributes do not pass the check, or when there is no memory for it
 */
export function createUserRing(
  attributes: UserRingAttributes,
  options: {
    mode?: RingMode;
    shared?: boolean;
    journalled?: boolean;
    memory?: (bytes: number) => ArrayBufferLike;
  } = {},
): UserRing {
  const error = checkAttributes(attributes);
  if (error !== 0)
    throw new RangeError(
      `max_entries ${attributes.maxEntries} is refused (errno ${-error}): call checkAttributes first`,
    );
  const bytes = DATA_OFFSET + attributes.maxEntries;
  const { mode, shared = false, journalled = false } = options;
  const { memory = shared ? sharedMemory : plainMemory } = options;
  return new UserRing(memory(bytes), mode, journalled, shared, attributes.maxEntries);
}

function plainMemory(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes);
}

function sharedMemory(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes);
}
