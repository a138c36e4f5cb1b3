/**
 * What runs in the thread of a handler. Started by handler-thread.ts; loads the code, then drains whenever it is told to.
 * The code shares this thread, so that nothing here trusts that it returns: the daemon watches the time.
 */
import { getHeapStatistics } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { UserRing } from '../../../ring/index.js';
import { DrainLedger } from './drain-ledger.js';
import { DrainLoop, describe } from './drain-loop.js';
import { EmitLog } from './emit-log.js';
import type { CodeServices, LoadedCode } from './loaded-code.js';
import { ModuleCode } from './module-code.js';
import type { LogLevel, ThreadReport, ThreadRequest, ThreadSetup } from './thread-messages.js';
import { CodeRefused, WasmCode } from './wasm-code.js';

/** Log lines that one drain may send; what is over is not even counted, so that logging cannot flood the daemon. */
const MAX_LOG_LINES = 100;

const port = parentPort!;
const setup = workerData as ThreadSetup;
const ledger = new DrainLedger(setup.ledger);
const emitLog = new EmitLog(setup.emit, setup.emitBytes, setup.emitLog);

let probing = false;
let logLines = 0;
let emitsRefused = 0;
let loop: DrainLoop | undefined;
let code: LoadedCode | undefined;
let compiled: WebAssembly.Module | undefined;
let settling = false;
/** What code of the handler has thrown outside a call: in a timer, or as a rejection that nobody handles. */
let stray: { reason: unknown } | undefined;

const services: CodeServices = {
  log(level: LogLevel, text: string): void {
    if (!probing && logLines++ < MAX_LOG_LINES) report({ type: 'log', level, text });
  },
  emit(map: string, payload: Uint8Array): number {
    // What a probe emits goes nowhere: the module is to see the usual answer.
    if (probing) return 0;
    const ret = emitLog.append(ledger, map, payload);
    if (ret !== 0) emitsRefused++;
    return ret;
  },
};

function report(message: ThreadReport): void {
  port.postMessage(message);
}

async function load(): Promise<void> {
  if (setup.code.kind === 'wasm') {
    const { module } = setup.code;
    compiled = module instanceof Uint8Array ? await compile(module) : module;
    code = new WasmCode(compiled, services);
    report({ type: 'loaded', module: compiled, facts: code.facts });
  } else {
    const { map, handler } = setup;
    const { url, options } = setup.code;
    code = await ModuleCode.load(url, { map, handler, options }, services);
    await settle();
    report({ type: 'loaded', facts: code.facts });
  }
}

async function compile(bytes: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new CodeRefused({ rule: 'valid-module', detail: describe(error).message });
  }
}

/** A fresh instance is probed, so that the one that drains begins as the module's author meant it to. */
function probe(): void {
  probing = true;
  try {
    new WasmCode(compiled!, services).probe();
    report({ type: 'probed' });
  } catch (error) {
    report({ type: 'refused', refusal: refusalOf(error, 'probe-trap') });
  } finally {
    probing = false;
  }
}

function refusalOf(error: unknown, rule: string): CodeRefused['refusal'] {
  if (error instanceof CodeRefused) return error.refusal;
  const { name, message } = describe(error);
  return { rule, detail: `${name}: ${message}` };
}

/** Turns the event loop once, so that rejections and errors which the last sample has left behind are seen. */
function settle(): Promise<void> {
  return new Promise((resolve, reject) => {
    settling = true;
    setImmediate(() => {
      const found = stray;
      settling = false;
      stray = undefined;
      if (found === undefined) resolve();
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is what the handler's code threw
      else reject(found.reason);
    });
  });
}

async function drain(request: Extract<ThreadRequest, { type: 'drain' }>): Promise<void> {
  logLines = 0;
  emitsRefused = 0;
  emitLog.begin(request.credit);
  const { ctx, incarnation } = request;
  code!.begin({ ctx, incarnation, position: () => loop!.position });
  const result = await loop!.drain(request);
  report({ type: 'ended', emitsRefused, ...result });
}

function attach(ring: SharedArrayBuffer, journalled: boolean): void {
  loop = new DrainLoop({
    ring: new UserRing(ring, 'managed', journalled),
    ledger,
    code: code!,
    onProgress: () => report({ type: 'progress' }),
    settle,
    // The memory of a WebAssembly module has a ceiling of its own.
    ...(setup.code.kind === 'module' && {
      external: { bytes: () => getHeapStatistics().external_memory, max: setup.maxExternalBytes },
    }),
  });
}

/** Behind a sample it fails the sample's drain; otherwise nobody can tell what state the code is in. */
function onStray(reason: unknown): void {
  if (settling) {
    stray ??= { reason };
    return;
  }
  report({ type: 'lost', error: describe(reason) });
  process.exit(1);
}

process.on('unhandledRejection', onStray);
process.on('uncaughtException', onStray);

try {
  await load();
  port.on('message', (request: ThreadRequest) => {
    if (request.type === 'probe') probe();
    else if (request.type === 'attach') attach(request.ring, request.journalled);
    else void drain(request);
  });
} catch (error) {
  report({ type: 'refused', refusal: refusalOf(error, setup.code.kind === 'wasm' ? 'instantiate' : 'load') });
}
