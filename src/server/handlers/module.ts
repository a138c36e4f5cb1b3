import { Type, type Static } from 'typebox';
import { moduleFile } from './module/module-file.js';
import { workerConfigKeys, workerOptions } from './worker/worker-config.js';
import { ThreadedHandler, type WorkerDeps } from './worker/threaded-handler.js';

const ModuleConfig = Type.Object(
  {
    file: Type.String({ description: 'name of a .mjs file in handlers_dir' }),
    options: Type.Optional(
      Type.Unknown({ description: 'handed to the module as it is, as ctx.options: any JSON value' }),
    ),
    ...workerConfigKeys({
      minimum: 8,
      default: 64,
      description: "ceiling of the thread's JavaScript heap, and of its buffers beside it, in MiB",
    }),
  },
  { additionalProperties: false },
);

type ModuleConfig = Static<typeof ModuleConfig>;

/** What modules are made with beside what every handler in a thread is. */
export interface ModuleDeps extends WorkerDeps {
  /** `handlers_dir` of the configuration; without it there are no modules. */
  readonly handlersDir?: string | undefined;
}

export const moduleKind = {
  kind: 'module',
  description: "runs an ES module of the operator's own on each sample, in a thread with bounds",
  configSchema: ModuleConfig,
  /** @throws RingbufdError HANDLER_CONFIG: the file is not one of handlers_dir */
  create(config: Record<string, unknown>, deps: ModuleDeps): ThreadedHandler {
    const checked = config as ModuleConfig;
    const { url, verified } = moduleFile(deps.handlersDir, checked.file);
    const code = { kind: 'module' as const, url, options: checked.options };
    return new ThreadedHandler({ code, verified, ...workerOptions(checked) }, deps);
  },
};
