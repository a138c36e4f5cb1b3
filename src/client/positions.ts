import type { DoneFrame } from '../wire/index.js';

/** The map's positions, free-running u64. */
export interface Positions {
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
}

/** The four values of `bpf_ringbuf_query`, in bytes. */
export interface RingInfo extends Positions {
  readonly availData: bigint;
  readonly ringSize: bigint;
}

export function positionsOf({ producerPos, consumerPos }: DoneFrame): Positions {
  return { producerPos, consumerPos };
}
