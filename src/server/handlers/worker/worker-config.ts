import { Type, type Static } from 'typebox';
import { RingbufdError } from '../../errors.js';
import { isValidName, NAME_RULE } from '../../names.js';
import { MAX_EMIT_TARGETS } from './drain-ledger.js';
import type { WorkerLimits } from './threaded-handler.js';

/** The keys of a config that all kinds with a thread of their own have. @param defaultMemoryMb of memory_mb */
export function workerConfigKeys(memory: { minimum: number; default: number; description: string }) {
  return {
    budget_ms: Type.Integer({
      minimum: 10,
      maximum: 600_000,
      default: 1000,
      description:
        'time of one drain, in ms: behind the half of it no further sample is begun, at its end the thread is ended',
    }),
    load_ms: Type.Integer({
      minimum: 10,
      maximum: 60_000,
      default: 5000,
      description: "time for loading the code, and for the verifier's probe, in ms",
    }),
    memory_mb: Type.Integer({ maximum: 1024, ...memory }),
    emit: Type.Array(Type.String(), {
      maxItems: MAX_EMIT_TARGETS,
      uniqueItems: true,
      default: [],
      description: 'maps that the code may emit into',
    }),
    emit_bytes: Type.Integer({
      minimum: 16,
      maximum: 16_777_216,
      default: 262_144,
      description: 'most that one drain may emit into each of them, in bytes of ring',
    }),
  };
}

interface CheckedKeys {
  budget_ms: number;
  load_ms: number;
  memory_mb: number;
  emit: Static<ReturnType<typeof workerConfigKeys>['emit']>;
  emit_bytes: number;
}

/** @throws RingbufdError HANDLER_CONFIG for a target that is no name of a map */
export function workerOptions(config: CheckedKeys): {
  limits: WorkerLimits;
  emit: readonly string[];
  emitBytes: number;
} {
  const wrong = config.emit.find((map) => !isValidName(map));
  if (wrong !== undefined) throw new RingbufdError('HANDLER_CONFIG', `config.emit "${wrong}": ${NAME_RULE}`);
  const { budget_ms: budgetMs, load_ms: loadMs, memory_mb: memoryMb } = config;
  return {
    limits: { budgetMs, loadMs, memoryMb },
    emit: config.emit,
    emitBytes: config.emit_bytes,
  };
}
