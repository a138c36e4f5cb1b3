/** The metrics of every handler, read from its plain fields when somebody looks. */
import { Counter, type Registry } from 'prom-client';
import type { RegisteredHandler } from './handler-table.js';
import type { HostedMap } from './hosted-map.js';

/** `ringbufd_handler_NAME_total`: how it is read, and its help. Each starts anew when the handler is replaced. */
const counters: Record<string, [read: (registered: RegisteredHandler) => number, help: string]> = {
  calls: [
    ({ health }) => health.calls,
    'Calls of the handler: one a sample, or one a run for file, webhook and remote',
  ],
  samples: [({ health }) => health.samples, 'Samples that the handler answered for'],
  stops: [({ health }) => health.stops, 'Drains that the handler stopped with verdict 1'],
  retries: [({ health }) => health.retries, 'Drains that began with a sample the handler had failed on'],
  dead_letters: [
    ({ health }) => health.deadLetters,
    'Samples that the handler failed on and that went into its dead-letter map',
  ],
  worker_restarts: [
    ({ handler }) => (handler.shape === 'worker' ? Math.max(0, handler.starts - 1) : 0),
    'Threads of the handler (wasm, module) started after the first',
  ],
  emits_refused: [
    ({ handler }) => (handler.shape === 'worker' ? handler.emitsRefused : 0),
    'Samples that the handler (wasm, module) wanted to emit and could not: no credit, no such target, too large',
  ],
};

/** Those that are told apart by errno, too. */
const byErrno: Record<
  string,
  [read: (registered: RegisteredHandler) => ReadonlyMap<string, number>, help: string]
> = {
  errors: [({ health }) => health.errors, 'Drains through the handler that ended with an errno'],
  dead_letters_refused: [
    ({ health }) => health.deadLettersRefused,
    'Dead letters of the handler that their map did not take; the sample stays where it is',
  ],
};

/** Registers them all; a handler that is gone is in none of them at the next look. */
export function registerHandlerMetrics(registry: Registry, maps: () => Iterable<HostedMap>): void {
  const registers = [registry];
  for (const [name, [read, help]] of Object.entries(counters))
    new Counter({
      name: `ringbufd_handler_${name}_total`,
      help,
      labelNames: ['map', 'handler'],
      registers,
      collect() {
        this.reset();
        for (const map of maps())
          for (const registered of map.handlers.list())
            this.inc({ map: map.name, handler: registered.name }, read(registered));
      },
    });
  for (const [name, [read, help]] of Object.entries(byErrno))
    new Counter({
      name: `ringbufd_handler_${name}_total`,
      help,
      labelNames: ['map', 'handler', 'errno'],
      registers,
      collect() {
        this.reset();
        for (const map of maps())
          for (const registered of map.handlers.list())
            for (const [errno, value] of read(registered))
              this.inc({ map: map.name, handler: registered.name, errno }, value);
      },
    });
}
