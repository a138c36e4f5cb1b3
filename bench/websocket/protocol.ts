import type { Socket } from 'node:net';

/** What the producers of one contender send. */
export interface Shape {
  /** Payload bytes of a sample. */
  readonly sampleBytes: number;
  /** Samples in one frame or message. */
  readonly samplesPerMessage: number;
}

/** Messages that are written at once. */
export interface Block {
  readonly bytes: Buffer;
  readonly messages: number;
}

/** One producer's side of a contender's protocol. */
export interface ProducerLink {
  readonly socket: Socket;
  /** A new block, with memory of its own. It is written as often as it is free. */
  createBlock: () => Block;
  /** Puts the sequence numbers in, if there are any, that follow those of the block before. */
  prepare: (block: Block) => void;
  /**
   * Takes what the server sent.
   * @returns how many messages it has acknowledged with it
   */
  receive: (chunk: Buffer) => number;
  /** For a server that acknowledges nothing: asks whether it has everything; {@link receive} then counts it all. */
  askForTheEnd?: () => void;
}

/** How many messages may be on their way, and how many are written at once. */
export interface Flow {
  readonly window: number;
  readonly perBlock: number;
}

/** A contender's protocol: how to open one producer's connection. */
export type OpenLink = (port: number, target: string, shape: Shape, flow: Flow) => Promise<ProducerLink>;

/** Writes go out in blocks of about this many bytes. */
const BLOCK_BYTES = 64 * 1024;
const BLOCKS_IN_FLIGHT = 8;

/**
 * In-flight messages of one producer: many blocks, so that nobody waits for an answer on a machine that does other things
 * too, and not more than the protocol allows.
 */
export function flowFor(messageBytes: number, most = Infinity): Flow {
  const perBlock = Math.max(1, Math.min(Math.floor(BLOCK_BYTES / messageBytes), Math.floor(most / 4)));
  return { perBlock, window: Math.min(perBlock * BLOCKS_IN_FLIGHT, most) };
}

/** {@link flowFor} the messages of a contender that are of this shape. */
export function flowOf(
  contender: {
    readonly batches: 'frames' | 'packed';
    readonly overheadBytes: number;
    readonly mostInFlight?: number;
  },
  { sampleBytes, samplesPerMessage }: Shape,
): Flow {
  const each = contender.batches === 'frames' ? (sampleBytes + 15) & ~7 : sampleBytes;
  return flowFor(samplesPerMessage * each + contender.overheadBytes, contender.mostInFlight);
}
