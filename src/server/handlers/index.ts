/** The table of handler kinds: a new kind is a file and a line here. */
import { checkShape } from '../check-shape.js';
import { RingbufdError } from '../errors.js';
import { captureKind } from './capture.js';
import { countKind } from './count.js';
import { fileKind } from './file.js';
import type { Handler, HandlerKind } from './handler.js';
import { logKind } from './log.js';
import { moduleKind, type ModuleDeps } from './module.js';
import { remoteKind } from './remote.js';
import { wasmKind } from './wasm.js';
import { webhookKind, type WebhookDeps } from './webhook.js';

const kinds = new Map<string, HandlerKind>(
  [countKind, captureKind, logKind, fileKind, wasmKind, moduleKind, webhookKind, remoteKind].map((kind) => [
    kind.kind,
    kind,
  ]),
);

export const handlerKinds: readonly HandlerKind[] = [...kinds.values()];

/** What any kind may be made with. */
type AnyHandlerDeps = ModuleDeps & WebhookDeps;

/**
 * Makes a handler.
 * @returns the handler and its config with the kind's defaults filled in, as it may be shown
 * @throws RingbufdError HANDLER_KIND, HANDLER_CONFIG
 */
export function createHandler(
  kind: string,
  config: unknown,
  deps: AnyHandlerDeps,
): { handler: Handler; config: Record<string, unknown> } {
  const found = kinds.get(kind);
  if (found === undefined)
    throw new RingbufdError('HANDLER_KIND', `"${kind}" is none of ${[...kinds.keys()].join(', ')}`);
  const checked = checkShape(found.configSchema, config, 'HANDLER_CONFIG', 'config') as Record<
    string,
    unknown
  >;
  return { handler: found.create(checked, deps), config: found.publicConfig?.(checked) ?? checked };
}

export type { EmitTarget } from './worker/emit-credit.js';
export type {
  BatchHandler,
  DrainContext,
  Handler,
  HandlerDeps,
  HandlerKind,
  SampleHandler,
  WorkerHandler,
} from './handler.js';
