import { Type } from 'typebox';
import type { Dynptr } from '../../ring/index.js';
import type { HandlerKind, SampleHandler } from './handler.js';

class CountHandler implements SampleHandler {
  readonly shape = 'sample';
  #samples = 0;
  #bytes = 0;

  begin(): void {
    // Takes any ctx.
  }

  readonly onSample = (sample: Dynptr): 0 => {
    this.#samples++;
    this.#bytes += sample.size;
    return 0;
  };

  state(): Record<string, unknown> {
    return { samples: this.#samples, bytes: this.#bytes };
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}

export const countKind: HandlerKind = {
  kind: 'count',
  description: 'counts samples and payload bytes',
  configSchema: Type.Object({}, { additionalProperties: false }),
  create: () => new CountHandler(),
};
