/** Handlers and drains. */
import { entry } from './entry.js';

export const handlerErrors = {
  NO_HANDLER: entry({
    errno: 'ENOENT',
    title: 'no such handler on this map',
    advice: 'Register it with PUT /v1/maps/{map}/handlers/{handler}.',
  }),
  HANDLER_KIND: entry({
    errno: 'EINVAL',
    title: 'unknown handler kind',
    advice: 'The detail lists the kinds there are.',
  }),
  HANDLER_CONFIG: entry({
    errno: 'EINVAL',
    title: 'the handler refuses its configuration',
    advice: 'The detail names the key.',
  }),
  HANDLER_CTX: entry({
    errno: 'EINVAL',
    title: 'the handler refuses this ctx',
    advice: 'The detail names the key.',
  }),
  HANDLER_CYCLE: entry({
    errno: 'EINVAL',
    title: 'samples would go round in a circle of maps',
    advice: 'Emit, or send dead letters, into a map whose own handlers lead nowhere back.',
  }),
  HANDLER_DISABLED: entry({
    errno: 'EAGAIN',
    status: 409,
    title: 'the handler is disabled',
    advice: 'Enable it with POST /v1/maps/{map}/handlers/{handler}/enable, or drain with another one.',
  }),
  AUTO_TAKEN: entry({
    errno: 'EEXIST',
    title: 'another handler of this map has the auto trigger',
    advice: 'At most one handler of a map drains it on its own: make the other one manual first.',
  }),
  LIMIT_HANDLERS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_handlers_per_map is reached',
    advice: 'Delete a handler, or raise the limit.',
  }),
  BAD_FLAGS: entry({
    errno: 'EINVAL',
    title: 'unknown drain flag',
    advice:
      'Flags are BPF_RB_NO_WAKEUP (1) and BPF_RB_FORCE_WAKEUP (2), as names, a number or a decimal string.',
  }),
  DRAIN_BUSY: entry({
    errno: 'EBUSY',
    title: 'another drain of this map is under way',
    advice: 'One drain at a time: try again when it has ended.',
    retryable: true,
  }),
  DRAIN_BAD_RECORD: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'the record at the head of the ring is malformed',
    advice:
      'Only the producer of a direct map can write one: it has to repair it, or the map has to be deleted.',
  }),
  DRAIN_RECORD_TOO_BIG: entry({
    errno: 'E2BIG',
    status: 422,
    title: 'the record at the head of the ring is larger than the ring or a dynptr',
    advice:
      'Only the producer of a direct map can write one: it has to repair it, or the map has to be deleted.',
  }),
  HANDLER_SHADOW: entry({
    errno: 'EINVAL',
    title: 'a shadow does not drain',
    advice: 'Drain through another handler of the map, or register this one again with "shadow": false.',
  }),
  HANDLER_CHANGING: entry({
    errno: 'EBUSY',
    title: 'another change of this handler is under way',
    advice:
      'Try again: a change ends when the batch at hand is answered for, and what the handler holds is flushed.',
    retryable: true,
  }),
  HANDLER_VERDICT: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'the handler answered neither 0 nor 1',
    advice: 'Its sample was not released; mend the handler and drain again.',
  }),
  HANDLER_FAILED: entry({
    errno: 'EIO',
    title: 'the handler failed',
    advice: 'Its sample stays at the head of the ring; mend the cause and drain again.',
    retryable: true,
  }),
  HANDLER_TIMEOUT: entry({
    errno: 'ETIMEDOUT',
    title: 'the handler did not answer in time',
    advice: 'Its sample stays at the head of the ring; mend the cause, or give the handler more time.',
    retryable: true,
  }),
  HANDLER_SAMPLE_TOO_BIG: entry({
    errno: 'E2BIG',
    status: 422,
    title: 'the sample at the head of the ring is larger than the handler takes',
    advice: 'The sample stays there: give the handler a larger sample buffer, or drain it with another one.',
  }),
  NOBODY_ATTACHED: entry({
    errno: 'EAGAIN',
    status: 503,
    title: 'no client of this handler can take samples now',
    advice: 'The samples stay in the ring: attach a client that is not busy, and drain again.',
    retryable: true,
  }),
  HANDLER_ASKED_TO_WAIT: entry({
    errno: 'EAGAIN',
    status: 503,
    title: 'the server of this handler has asked not to be called yet',
    advice: 'The samples stay in the ring: drain again when its Retry-After is over.',
    retryable: true,
  }),
  NO_DEAD_LETTER: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'the sample at the head of the ring is no dead letter',
    advice: 'It stays there: drain it with a handler, then replay what is behind it.',
  }),
  REPLAY_CYCLE: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'a map cannot be replayed into itself',
    advice: 'Name another map in "to", or none.',
  }),
  HANDLER_NO_SPACE: entry({
    errno: 'ENOSPC',
    title: 'the handler has no room for what it drains',
    advice: 'Nothing is lost: the samples stay in the ring. Free disk space and drain again.',
    retryable: true,
  }),
};
