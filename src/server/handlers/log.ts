import { Type, type Static } from 'typebox';
import type { Dynptr } from '../../ring/index.js';
import type { HandlerDeps, HandlerKind, SampleHandler } from './handler.js';
import { sampleToJson } from './sample-json.js';

const LogConfig = Type.Object(
  {
    level: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error'].map((level) => Type.Literal(level)),
      { default: 'info', description: 'log level of the lines' },
    ),
    head_bytes: Type.Integer({
      minimum: 0,
      maximum: 4096,
      default: 256,
      description: 'first bytes shown of each sample',
    }),
  },
  { additionalProperties: false },
);

class LogHandler implements SampleHandler {
  readonly shape = 'sample';
  readonly #log: HandlerDeps['logger'];
  readonly #level: 'info';
  readonly #headBytes: number;
  #samples = 0;

  constructor(config: Static<typeof LogConfig>, deps: HandlerDeps) {
    this.#log = deps.logger.child({ map: deps.map, handler: deps.handler });
    this.#level = config.level;
    this.#headBytes = config.head_bytes;
  }

  begin(): void {
    // Takes any ctx.
  }

  readonly onSample = (sample: Dynptr): 0 => {
    this.#samples++;
    this.#log[this.#level](
      { len: sample.size, sample: sampleToJson(sample.copy(this.#headBytes)) },
      'sample',
    );
    return 0;
  };

  state(): Record<string, unknown> {
    return { samples: this.#samples };
  }

  async close(): Promise<void> {
    // The logger is the daemon's.
  }
}

export const logKind: HandlerKind = {
  kind: 'log',
  description: "writes each sample to the daemon's log",
  configSchema: LogConfig,
  create: (config, deps) => new LogHandler(config as Static<typeof LogConfig>, deps),
};
