import { promiseHooks } from 'node:v8';
import type { Dynptr } from '../../../ring/index.js';
import type { CodeDrain, CodeServices, LoadedCode } from './loaded-code.js';
import type { LogLevel } from './thread-messages.js';
import { CodeRefused } from './wasm-code.js';

/** What an operator's module is given beside the sample. */
export interface ModuleContext {
  readonly map: string;
  readonly handler: string;
  readonly incarnation: string;
  /** Where the record of the sample at hand starts; read anew for each sample. */
  readonly position: bigint;
  /** The ctx of the drain call; {} for an automatic drain. */
  readonly value: unknown;
  /** `config.options` of the handler. */
  readonly options: unknown;
  /** Puts a sample into a map that `config.emit` names. Answers 0 or a negative errno, -28 (ENOSPC) without credit. */
  emit(map: string, payload: Uint8Array): number;
  log(level: LogLevel, text: string): void;
}

/** What stays the same from drain to drain. */
type ModuleBase = Omit<ModuleContext, 'incarnation' | 'position' | 'value'>;
type ModuleHandler = (sample: Uint8Array, context: ModuleContext) => unknown;

/** An ES module of the operator's, whose default export is the handler. */
export class ModuleCode implements LoadedCode {
  readonly facts: Record<string, unknown> = {};
  readonly #handler: ModuleHandler;
  readonly #base: ModuleBase;
  #context: ModuleContext;
  /** A promise was made since the mark was taken: what it rejects with shows only when the event loop turns. */
  #unsettled = false;

  private constructor(handler: ModuleHandler, base: ModuleBase) {
    this.#handler = handler;
    this.#base = base;
    this.#context = { ...base, incarnation: '', position: 0n, value: {} };
    promiseHooks.onInit(() => {
      this.#unsettled = true;
    });
  }

  /** @throws CodeRefused without a default function; whatever the module throws while it loads */
  static async load(
    url: string,
    about: { map: string; handler: string; options: unknown },
    services: CodeServices,
  ): Promise<ModuleCode> {
    const loaded = (await import(url)) as { default?: unknown };
    if (typeof loaded.default !== 'function')
      throw new CodeRefused({
        rule: 'default-function',
        detail: `the default export is ${loaded.default === undefined ? 'absent' : typeof loaded.default}: a function (sample, ctx) is asked for`,
      });
    return new ModuleCode(loaded.default as ModuleHandler, { ...about, ...services });
  }

  begin(drain: CodeDrain): void {
    const value: unknown = JSON.parse(drain.ctx);
    const { incarnation, position } = drain;
    this.#context = Object.freeze({
      ...this.#base,
      incarnation,
      get position() {
        return position();
      },
      value,
    });
    this.#unsettled = false;
  }

  onSample(sample: Dynptr): unknown {
    // A copy: the module may keep it, and never sees the ring.
    return this.#handler(sample.copy(), this.#context);
  }

  takeUnsettled(): boolean {
    const unsettled = this.#unsettled;
    this.#unsettled = false;
    return unsettled;
  }
}
