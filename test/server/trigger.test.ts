import Value from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { isValidName, NAME_PATTERN } from '../../src/server/names.js';
import {
  CompleteTriggerSchema,
  completeTrigger,
  neverFires,
  TriggerSchema,
} from '../../src/server/trigger.js';

describe('a trigger', () => {
  it('may leave out what has a default', () => {
    expect(Value.Check(TriggerSchema, { mode: 'auto' })).toBe(true);
    expect(Value.Check(TriggerSchema, { mode: 'manual' })).toBe(true);
    expect(completeTrigger({ mode: 'manual' })).toEqual({ mode: 'manual' });
    expect(completeTrigger({ mode: 'auto' })).toEqual({
      mode: 'auto',
      flags: [],
      min_bytes: 1,
      max_delay_ms: 0,
    });
    expect(completeTrigger({ mode: 'auto', flags: ['BPF_RB_FORCE_WAKEUP'], max_delay_ms: 5 })).toEqual({
      mode: 'auto',
      flags: ['BPF_RB_FORCE_WAKEUP'],
      min_bytes: 1,
      max_delay_ms: 5,
    });
  });

  it('completed by hand is what the schema completes', () => {
    expect(completeTrigger({ mode: 'auto' })).toEqual(Value.Default(CompleteTriggerSchema, { mode: 'auto' }));
  });

  it('shares its flags with no other', () => {
    const first = completeTrigger({ mode: 'auto' });
    const second = completeTrigger({ mode: 'auto' });
    if (first.mode === 'manual' || second.mode === 'manual') throw new Error('not auto');
    expect(first.flags).not.toBe(second.flags);
  });

  it.each([
    {},
    { mode: 'never' },
    { mode: 'manual', flags: [] },
    { mode: 'auto', flags: ['BPF_RB_WAKEUP'] },
    { mode: 'auto', flags: 1 },
    { mode: 'auto', min_bytes: 0 },
    { mode: 'auto', min_bytes: 2 ** 30 + 1 },
    { mode: 'auto', min_bytes: '1' },
    { mode: 'auto', max_delay_ms: -1 },
    { mode: 'auto', max_delay_ms: 2 ** 31 },
    { mode: 'auto', delay: 1 },
  ])('%j is refused', (trigger) => {
    expect(Value.Check(TriggerSchema, trigger)).toBe(false);
  });

  it('never fires only when neither bytes nor age can start it', () => {
    expect(neverFires({ mode: 'auto', min_bytes: 4097 }, 4096)).toBe(true);
    expect(neverFires({ mode: 'auto', min_bytes: 4096 }, 4096)).toBe(false);
    expect(neverFires({ mode: 'auto', min_bytes: 4097, max_delay_ms: 1 }, 4096)).toBe(false);
    expect(neverFires({ mode: 'manual' }, 4096)).toBe(false);
  });
});

describe('names', () => {
  it.each(['a', 'A.b_c-9', '...', '.a', 'x'.repeat(64)])('%s is one', (name) => {
    expect([isValidName(name), new RegExp(NAME_PATTERN).test(name)]).toEqual([true, true]);
  });

  it.each(['', '.', '..', 'a/b', '../a', 'a\0', 'a\n', '\na', 'ä', 'a b', 'x'.repeat(65)])(
    '%j is none',
    (name) => {
      expect([isValidName(name), new RegExp(NAME_PATTERN).test(name)]).toEqual([false, false]);
    },
  );
});
