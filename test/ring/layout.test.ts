import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ring from '../../src/ring/index.js';
import {
  BUSY_MASK,
  CONSUMER_POS_WORD,
  DATA_WORD,
  DISCARD_MASK,
  LENGTH_MASK,
  PRODUCER_POS_WORD,
  unsigned,
  wrapped,
} from '../../src/ring/layout.js';

describe('the layout', () => {
  it('has the numbers of include/uapi/linux/bpf.h and of the mmap layout', () => {
    expect({
      RINGBUF_PAGE_SIZE: ring.RINGBUF_PAGE_SIZE,
      CONSUMER_POS_OFFSET: ring.CONSUMER_POS_OFFSET,
      PRODUCER_POS_OFFSET: ring.PRODUCER_POS_OFFSET,
      DATA_OFFSET: ring.DATA_OFFSET,
      BPF_RINGBUF_HDR_SZ: ring.BPF_RINGBUF_HDR_SZ,
      BPF_RINGBUF_BUSY_BIT: ring.BPF_RINGBUF_BUSY_BIT,
      BPF_RINGBUF_DISCARD_BIT: ring.BPF_RINGBUF_DISCARD_BIT,
      BPF_MAX_USER_RINGBUF_SAMPLES: ring.BPF_MAX_USER_RINGBUF_SAMPLES,
      BPF_RB_NO_WAKEUP: ring.BPF_RB_NO_WAKEUP,
      BPF_RB_FORCE_WAKEUP: ring.BPF_RB_FORCE_WAKEUP,
      BPF_RB_AVAIL_DATA: ring.BPF_RB_AVAIL_DATA,
      BPF_RB_RING_SIZE: ring.BPF_RB_RING_SIZE,
      BPF_RB_CONS_POS: ring.BPF_RB_CONS_POS,
      BPF_RB_PROD_POS: ring.BPF_RB_PROD_POS,
      BPF_F_NUMA_NODE: ring.BPF_F_NUMA_NODE,
      DYNPTR_MAX_SIZE: ring.DYNPTR_MAX_SIZE,
      MAX_RING_SIZE: ring.MAX_RING_SIZE,
    }).toEqual({
      RINGBUF_PAGE_SIZE: 4096,
      CONSUMER_POS_OFFSET: 0,
      PRODUCER_POS_OFFSET: 4096,
      DATA_OFFSET: 8192,
      BPF_RINGBUF_HDR_SZ: 8,
      BPF_RINGBUF_BUSY_BIT: 0x80000000,
      BPF_RINGBUF_DISCARD_BIT: 0x40000000,
      BPF_MAX_USER_RINGBUF_SAMPLES: 131072,
      BPF_RB_NO_WAKEUP: 1,
      BPF_RB_FORCE_WAKEUP: 2,
      BPF_RB_AVAIL_DATA: 0,
      BPF_RB_RING_SIZE: 1,
      BPF_RB_CONS_POS: 2,
      BPF_RB_PROD_POS: 3,
      BPF_F_NUMA_NODE: 4,
      DYNPTR_MAX_SIZE: 0xffffff,
      MAX_RING_SIZE: 0x40000000,
    });
  });

  it('has word indices and int32 masks that say the same', () => {
    expect([CONSUMER_POS_WORD, PRODUCER_POS_WORD, DATA_WORD]).toEqual([0, 1024, 2048]);
    expect([BUSY_MASK, DISCARD_MASK, LENGTH_MASK]).toEqual([-0x80000000, 0x40000000, 0x3fffffff]);
  });

  it.each([
    [0, 8, 0],
    [1, 16, 7],
    [7, 16, 1],
    [8, 16, 0],
    [9, 24, 7],
    [4088, 4096, 0],
    [0xffffff, 0x1000008, 1],
    [0x3ffffff8, 0x40000000, 0],
    [0x3fffffff, 0x40000008, 1],
  ])('takes for a payload of %i bytes a record of %i bytes, %i of them padding', (length, total, padding) => {
    expect(ring.recordSize(length)).toBe(total);
    expect(ring.paddingSize(length)).toBe(padding);
  });

  it('makes every record header, payload and padding, and a multiple of 8', () => {
    fc.assert(
      fc.property(fc.nat(0x3fffffff), (length) => {
        expect(ring.recordSize(length)).toBe(8 + length + ring.paddingSize(length));
        expect(ring.recordSize(length) % 8).toBe(0);
        expect(ring.paddingSize(length)).toBeLessThan(8);
      }),
    );
  });

  it('turns int32 words into unsigned numbers', () => {
    expect([0, 1, 0x7fffffff, -0x80000000, -1].map(unsigned)).toEqual([
      0, 1, 0x7fffffff, 0x80000000, 0xffffffff,
    ]);
  });

  it('sees that a 32-bit counter wrapped, and not that it passed the sign bit', () => {
    expect(wrapped(-8, 0)).toBe(true);
    expect(wrapped(-1, 0x7ffffff0)).toBe(true);
    expect(wrapped(0x7ffffff8, -0x80000000)).toBe(false);
    expect(wrapped(-16, -8)).toBe(false);
    expect(wrapped(5, 5)).toBe(false);
  });
});
