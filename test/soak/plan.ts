/** What the soak hosts: a map for each kind of handler, and one for the dead letters of those that fail. */
import { flakyWasm } from './flaky-handlers.js';

export interface PlannedMap {
  readonly name: string;
  /** The kind of its handler, and what is special about it. */
  readonly kind: string;
  /** Its `on_error` policy. */
  readonly policy: 'stop' | 'retry' | 'dead_letter';
  readonly maxEntries: number;
  /** Body of the PUT of its handler "main". */
  readonly handler: Record<string, unknown>;
  /** Milliseconds between two outputs of its producer, on average. Without it the map has no producer. */
  readonly pauseMs?: number;
  /** Nothing else drains it: what its handler wrote can be held against the books. */
  readonly exclusive?: boolean;
}

const auto = { mode: 'auto' };

/** Takes what other maps' handlers fail on time and again, and nothing else; it is replayed now and then. */
export const DEAD_LETTER_MAP = 'failed';

/** @param attempts 1: each fault makes a dead letter; with more, a fault that does not come back makes none */
function deadLetterAfter(attempts: number): Record<string, unknown> {
  const pauses = { backoff_min_ms: 10, backoff_max_ms: 50 };
  return { policy: 'dead_letter', map: DEAD_LETTER_MAP, max_attempts: attempts, ...pauses };
}

/** @param webhookUrl where the webhook posts to */
export function plannedMaps(webhookUrl: string): PlannedMap[] {
  const module = Buffer.from(flakyWasm()).toString('base64');
  const webhook = {
    url: webhookUrl,
    timeout_ms: 150,
    max_attempts: 3,
    backoff_min_ms: 10,
    backoff_max_ms: 50,
    budget_ms: 1000,
    max_batch_samples: 200,
  };
  const wasm = {
    kind: 'wasm',
    config: { module, budget_ms: 100 },
    trigger: auto,
    on_error: deadLetterAfter(1),
  };
  const flaky = (options: Record<string, unknown>): Record<string, unknown> => ({
    kind: 'module',
    config: { file: 'flaky.mjs', budget_ms: 100, memory_mb: 64, options },
    trigger: auto,
  });
  return [
    {
      name: 'count',
      kind: 'count',
      policy: 'stop',
      maxEntries: 65_536,
      pauseMs: 10,
      handler: { kind: 'count', trigger: auto },
    },
    {
      name: 'capture',
      kind: 'capture',
      policy: 'stop',
      maxEntries: 65_536,
      pauseMs: 10,
      handler: { kind: 'capture', trigger: auto },
    },
    {
      name: 'log',
      kind: 'log',
      policy: 'stop',
      maxEntries: 32_768,
      pauseMs: 40,
      handler: { kind: 'log', config: { level: 'trace' }, trigger: auto },
    },
    {
      name: 'file',
      kind: 'file, NDJSON',
      policy: 'stop',
      maxEntries: 65_536,
      pauseMs: 10,
      exclusive: true,
      handler: {
        kind: 'file',
        config: { name: 'out' },
        trigger: { ...auto, max_delay_ms: 20, min_bytes: 4096 },
      },
    },
    {
      name: 'records',
      kind: 'file, records, rotated',
      policy: 'stop',
      maxEntries: 65_536,
      pauseMs: 10,
      handler: {
        kind: 'file',
        config: { name: 'out', format: 'records', rotate_bytes: 65_536 },
        trigger: auto,
      },
    },
    { name: 'wasm', kind: 'wasm', policy: 'dead_letter', maxEntries: 65_536, pauseMs: 10, handler: wasm },
    {
      name: 'module',
      kind: 'module that emits',
      policy: 'dead_letter',
      maxEntries: 65_536,
      pauseMs: 10,
      handler: {
        ...flaky({ oneIn: 20_000, emit: 'count' }),
        config: {
          ...(flaky({ oneIn: 20_000, emit: 'count' }).config as object),
          emit: ['count'],
          emit_bytes: 16_384,
        },
        on_error: deadLetterAfter(1),
      },
    },
    {
      name: 'webhook',
      kind: 'webhook',
      policy: 'dead_letter',
      maxEntries: 65_536,
      pauseMs: 20,
      handler: { kind: 'webhook', config: webhook, trigger: auto, on_error: deadLetterAfter(2) },
    },
    {
      name: 'remote',
      kind: 'remote',
      policy: 'dead_letter',
      maxEntries: 65_536,
      pauseMs: 15,
      handler: {
        kind: 'remote',
        config: { timeout_ms: 150, max_batch_bytes: 8192 },
        trigger: auto,
        on_error: deadLetterAfter(2),
      },
    },
    {
      name: 'manual',
      kind: 'count, drained by hand',
      policy: 'stop',
      maxEntries: 32_768,
      pauseMs: 20,
      handler: { kind: 'count' },
    },
    {
      name: 'retried',
      kind: 'module, enabled again when faulted',
      policy: 'retry',
      maxEntries: 65_536,
      pauseMs: 15,
      handler: {
        ...flaky({ oneIn: 5000 }),
        on_error: { policy: 'retry', max_attempts: 1, backoff_min_ms: 10, backoff_max_ms: 50 },
      },
    },
    {
      name: DEAD_LETTER_MAP,
      kind: 'count, for dead letters',
      policy: 'stop',
      maxEntries: 262_144,
      handler: { kind: 'count' },
    },
  ];
}

/** Shadows that are tried beside the handlers, as bodies of a PUT. */
export function plannedShadows(): Record<string, unknown>[] {
  const module = Buffer.from(flakyWasm()).toString('base64');
  return [
    { kind: 'count', shadow: true },
    { kind: 'wasm', config: { module, budget_ms: 50 }, shadow: true },
    { kind: 'module', config: { file: 'flaky.mjs', budget_ms: 50, options: { oneIn: 500 } }, shadow: true },
  ];
}
