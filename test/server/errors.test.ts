import { describe, expect, it } from 'vitest';
import { RingbufdError } from '../../src/server/errors.js';

describe('a refusal', () => {
  it('walks no stack: a thousand producers may get one at a time', () => {
    expect(new RingbufdError('RING_FULL', '8 bytes are free').stack).not.toContain('errors.test.ts');
  });

  it('leaves the stacks of other errors as they were', () => {
    const before = Error.stackTraceLimit;
    new RingbufdError('RING_FULL');
    expect(Error.stackTraceLimit).toBe(before);
    expect(new Error('other').stack).toContain('errors.test.ts');
  });

  it('that is a defect of the daemon says where it happened', () => {
    expect(new RingbufdError('INTERNAL').stack).toContain('errors.test.ts');
  });
});
