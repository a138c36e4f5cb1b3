import { Type, type Static } from 'typebox';
import type { DeepReadonly } from './config-freeze.js';

/** The flags of a drain by name: those that `bpf_user_ringbuf_drain` knows. */
export const DrainFlagName = Type.Enum(['BPF_RB_NO_WAKEUP', 'BPF_RB_FORCE_WAKEUP']);
export type DrainFlagName = Static<typeof DrainFlagName>;

const ManualTrigger = Type.Object(
  { mode: Type.Literal('manual') },
  { additionalProperties: false, description: 'Drains only when a caller asks for it.' },
);

const autoDefaults = { flags: [] as DrainFlagName[], min_bytes: 1, max_delay_ms: 0 };

const autoFields = {
  flags: Type.Array(DrainFlagName, {
    default: autoDefaults.flags,
    maxItems: 2,
    description: 'Flags of every drain of this trigger. Empty = none.',
  }),
  min_bytes: Type.Integer({
    default: autoDefaults.min_bytes,
    minimum: 1,
    maximum: 2 ** 30,
    description: 'A run starts when at least so many bytes are in the ring. Unit: bytes. 0 is refused.',
  }),
  max_delay_ms: Type.Integer({
    default: autoDefaults.max_delay_ms,
    minimum: 0,
    maximum: 2 ** 31 - 1,
    description:
      'A run starts when the oldest sample has waited so long, however few bytes there are. Unit: ms. 0 = age alone never starts a run.',
  }),
};

const auto = { mode: Type.Literal('auto'), ...autoFields };
const autoOptions = { additionalProperties: false, description: 'Drains by itself.' };

/**
 * A trigger with every field present: what the daemon works with and GET shows. Also the shape inside the
 * configuration, whose defaults are filled in before it is checked.
 */
export const CompleteTriggerSchema = Type.Union([ManualTrigger, Type.Object(auto, autoOptions)], {
  title: 'CompleteTrigger',
  default: { mode: 'manual' },
  description: 'When the handler drains.',
});
export type Trigger = DeepReadonly<Static<typeof CompleteTriggerSchema>>;

/** A trigger as callers send it: the fields of `auto` may be left out. Complete it with {@link completeTrigger}. */
export const TriggerSchema = Type.Union(
  [
    ManualTrigger,
    Type.Object(
      {
        mode: auto.mode,
        flags: Type.Optional(auto.flags),
        min_bytes: Type.Optional(auto.min_bytes),
        max_delay_ms: Type.Optional(auto.max_delay_ms),
      },
      autoOptions,
    ),
  ],
  { title: 'Trigger', default: { mode: 'manual' }, description: 'When the handler drains.' },
);
export type TriggerInput = DeepReadonly<Static<typeof TriggerSchema>>;

/** Fills in the defaults of a trigger that passed {@link TriggerSchema}. */
export function completeTrigger(trigger: TriggerInput): Trigger {
  if (trigger.mode === 'manual') return { mode: 'manual' };
  const { flags, min_bytes, max_delay_ms } = { ...autoDefaults, ...trigger };
  return { mode: 'auto', flags: [...flags], min_bytes, max_delay_ms };
}

/**
 * Whether an auto trigger can never fire: it waits for more bytes than the ring holds, and age does not start a run.
 * @param maxEntries size of the map's ring, in bytes
 */
export function neverFires(trigger: TriggerInput, maxEntries: number): boolean {
  const complete = completeTrigger(trigger);
  return complete.mode === 'auto' && complete.min_bytes > maxEntries && complete.max_delay_ms === 0;
}
