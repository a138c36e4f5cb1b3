/**
 * The verifier of WebAssembly handlers, the part that needs no running code: one rule after the other, each named, each
 * leaving a line. The first rule that is broken ends it. What is left (the engine's own validation, where the sample buffer
 * is, how the module answers) is looked at in the handler's thread.
 */
import type { VerifierLine } from '../worker/verifier-log.js';
import { MalformedModule } from './byte-reader.js';
import { capLimits } from './wasm-limits.js';
import { readWasmModule, type FunctionType, type ValueType, type WasmModule } from './wasm-sections.js';

/** Bytes of a page of WebAssembly memory. */
export const WASM_PAGE_SIZE = 65536;
const MAX_TABLES = 16;
const MAX_TABLE_ENTRIES = 65536;

export interface VerifierResult {
  /** The module with its limits capped; absent when a rule is broken. */
  module?: Uint8Array;
  /** One line a rule; only the last one may be of a rule that is broken. */
  log: VerifierLine[];
}

const signature = (params: ValueType[], results: ValueType[]): FunctionType => ({ params, results });

/** What a module may import, all from `ringbuf`. */
export const allowedImports: ReadonlyMap<string, FunctionType> = new Map([
  ['log', signature(['i32', 'i32', 'i32'], [])],
  ['emit', signature(['i32', 'i32', 'i32', 'i32'], ['i32'])],
  ['now_ns', signature([], ['i64'])],
  ['ctx', signature(['i32', 'i32'], ['i32'])],
  ['position', signature([], ['i64'])],
  ['incarnation', signature(['i32', 'i32'], ['i32'])],
]);
const IMPORT_MODULE = 'ringbuf';

/** What a module must export beside `memory`. */
export const requiredExports: ReadonlyMap<string, FunctionType> = new Map([
  ['on_sample', signature(['i32', 'i32'], ['i32'])],
  ['sample_buffer', signature([], ['i32'])],
  ['sample_buffer_size', signature([], ['i32'])],
]);

/** A rule's answer: what it found, or what is wrong. */
type Finding = { ok: string } | { broken: string };
type Rule = (module: WasmModule, maxPages: number) => Finding;

const rules: [name: string, rule: Rule][] = [
  ['no-start', noStart],
  ['import-allowed', importsAllowed],
  ['import-signature', importSignatures],
  ['export-memory', exportsMemory],
  ...[...requiredExports].map(([name, type]): [string, Rule] => [
    `export-${name}`,
    (module) => exportsFunction(module, name, type),
  ]),
  ['memory-ceiling', memoryCeiling],
  ['table-ceiling', tableCeiling],
];

/**
 * Runs the rules on a module.
 * @param maxPages the memory ceiling, in pages of 64 KiB
 */
export function verifyWasm(bytes: Uint8Array, maxPages: number): VerifierResult {
  const log: VerifierLine[] = [];
  let module: WasmModule;
  try {
    module = readWasmModule(bytes);
  } catch (error) {
    if (!(error instanceof MalformedModule)) throw error;
    return { log: [{ rule: 'valid-module', ok: false, detail: error.message }] };
  }
  log.push({ rule: 'valid-module', ok: true, detail: `${bytes.length} bytes` });
  for (const [name, rule] of rules) {
    const finding = rule(module, maxPages);
    if ('broken' in finding) {
      log.push({ rule: name, ok: false, detail: finding.broken });
      return { log };
    }
    log.push({ rule: name, ok: true, detail: finding.ok });
  }
  return { log, module: capLimits(bytes, module, maxPages, MAX_TABLE_ENTRIES) };
}

function noStart(module: WasmModule): Finding {
  return module.hasStart
    ? { broken: 'it has a start function: nothing may run before the first sample' }
    : { ok: 'no start function' };
}

function importsAllowed({ imports }: WasmModule): Finding {
  for (const { module, name, kind } of imports)
    if (module !== IMPORT_MODULE || kind !== 'function' || !allowedImports.has(name))
      return {
        broken:
          `it imports the ${kind} ${module}.${name}; functions that may be imported: ` +
          [...allowedImports.keys()].map((allowed) => `${IMPORT_MODULE}.${allowed}`).join(', '),
      };
  return { ok: imports.map(({ name }) => name).join(', ') || 'no imports' };
}

function importSignatures({ imports }: WasmModule): Finding {
  for (const { name, type } of imports) {
    const allowed = allowedImports.get(name)!;
    if (!isSameType(type!, allowed))
      return { broken: `${IMPORT_MODULE}.${name} is ${show(allowed)}, it is imported as ${show(type!)}` };
  }
  return { ok: `${imports.length} imports` };
}

function exportsMemory({ exports, memories }: WasmModule): Finding {
  const found = exports.find(({ name }) => name === 'memory');
  if (found?.kind !== 'memory')
    return { broken: found ? `the export "memory" is a ${found.kind}` : 'it exports no "memory"' };
  if (memories.length !== 1) return { broken: `it has ${memories.length} memories, one is asked for` };
  if (memories[0]!.shared) return { broken: 'its memory is shared between threads' };
  return { ok: 'memory' };
}

function exportsFunction({ exports }: WasmModule, name: string, type: FunctionType): Finding {
  const found = exports.find((candidate) => candidate.name === name);
  if (found === undefined) return { broken: `it exports no "${name}" ${show(type)}` };
  if (found.type === undefined) return { broken: `the export "${name}" is a ${found.kind}` };
  if (!isSameType(found.type, type))
    return { broken: `${name} is ${show(found.type)}, ${show(type)} is asked for` };
  return { ok: show(type) };
}

function memoryCeiling({ memories }: WasmModule, maxPages: number): Finding {
  const { min, max } = memories[0]!;
  if (min > maxPages)
    return {
      broken: `its memory begins with ${min} pages, memory_mb allows ${maxPages} (${maxPages * WASM_PAGE_SIZE} bytes)`,
    };
  const effective = Math.min(max ?? maxPages, maxPages);
  return { ok: `${min} to ${effective} pages${max === effective ? '' : ' (capped)'}` };
}

function tableCeiling({ tables }: WasmModule): Finding {
  if (tables.length > MAX_TABLES)
    return { broken: `it has ${tables.length} tables, ${MAX_TABLES} are allowed` };
  const large = tables.find(({ min }) => min > MAX_TABLE_ENTRIES);
  if (large) return { broken: `a table begins with ${large.min} entries, ${MAX_TABLE_ENTRIES} are allowed` };
  return { ok: `${tables.length} tables` };
}

function isSameType(a: FunctionType, b: FunctionType): boolean {
  return show(a) === show(b);
}

/** A signature as people write it: `(i32, i32) -> i32`. */
function show({ params, results }: FunctionType): string {
  return `(${params.join(', ')}) -> ${results.length === 1 ? results[0]! : `(${results.join(', ')})`}`;
}
