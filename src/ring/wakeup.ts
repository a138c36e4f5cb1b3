import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP } from './layout.js';

/**
 * Whether a drain wakes the waiters. FORCE beats NO; otherwise one completed loop turn (a sample or a discard) is
 * enough, also when the drain ended with an error.
 *
 * @param flags the drain's flags, already checked against {@link isValidDrainFlags}
 * @param turns loop turns completed: samples released plus discarded records skipped
 *
 * Source: the end of `bpf_user_ringbuf_drain` (kernel/bpf/ringbuf.c).
 */
export function shouldWake(flags: number, turns: number): boolean {
  if (flags & BPF_RB_FORCE_WAKEUP) return true;
  return !(flags & BPF_RB_NO_WAKEUP) && turns > 0;
}

/**
 * Whether `flags` has only bits that a drain knows. Takes any number, since u64 flags above 2^53 are invalid whatever
 * their exact value is.
 */
export function isValidDrainFlags(flags: number): boolean {
  return flags >= 0 && flags <= (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP) && Number.isInteger(flags);
}
