import { createHash } from 'node:crypto';
import { Type, type Static } from 'typebox';
import { decodeBase64, encodeBase64 } from '../../wire/index.js';
import { RingbufdError } from '../errors.js';
import { verifyWasm, WASM_PAGE_SIZE } from './wasm/wasm-rules.js';
import { refusedBy } from './worker/verifier-log.js';
import { workerConfigKeys, workerOptions } from './worker/worker-config.js';
import { ThreadedHandler, type WorkerDeps } from './worker/threaded-handler.js';

const WasmConfig = Type.Object(
  {
    module: Type.String({ minLength: 1, description: 'the WebAssembly module, in base64' }),
    ...workerConfigKeys({
      minimum: 1,
      default: 16,
      description: "ceiling of the module's memory, in MiB; growing it further fails inside the module",
    }),
  },
  { additionalProperties: false },
);

type WasmConfig = Static<typeof WasmConfig>;

/**
 * Makes a handler of a module that passes the rules. What has to be tried is left to {@link ThreadedHandler.prepare}.
 * @throws RingbufdError HANDLER_CONFIG, its detail being the verifier's log
 */
function createWasm(config: WasmConfig, deps: WorkerDeps): ThreadedHandler {
  const bytes = moduleBytes(config.module);
  const options = workerOptions(config);
  const { module, log } = verifyWasm(bytes, (config.memory_mb * 2 ** 20) / WASM_PAGE_SIZE);
  if (module === undefined) throw refusedBy(log);
  return new ThreadedHandler({ code: { kind: 'wasm', module }, verified: log, ...options }, deps);
}

function moduleBytes(text: string): Uint8Array {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw new RingbufdError('HANDLER_CONFIG', 'config.module is not base64');
  return bytes;
}

/**
 * The config that a PUT of `application/wasm` stands for.
 * @param shown the config of the handler that the module replaces, as it may be shown: its other keys are kept
 */
export function wasmConfigOf(
  module: Uint8Array,
  shown: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const kept = Object.entries(shown).filter(([key]) => key in WasmConfig.properties);
  return { ...Object.fromEntries(kept), module: encodeBase64(module) };
}

export const wasmKind = {
  kind: 'wasm',
  description:
    'runs a WebAssembly module on each sample, in a thread of its own, within time and memory bounds',
  configSchema: WasmConfig,
  create: (config: Record<string, unknown>, deps: WorkerDeps) => createWasm(config as WasmConfig, deps),
  /** The module is as large as a request may be: its size and its hash stand for it. */
  publicConfig(config: Record<string, unknown>): Record<string, unknown> {
    const { module, ...others } = config as WasmConfig;
    const bytes = moduleBytes(module);
    return {
      ...others,
      module_bytes: bytes.length,
      module_sha256: createHash('sha256').update(bytes).digest('hex'),
    };
  },
};
