/**
 * What a WebAssembly module declares: types, imports, functions, memories, tables, exports, start. JavaScript's reflection
 * shows names and kinds only, and the verifier needs signatures and limits. What is inside functions is left to the engine.
 *
 * Source: WebAssembly Core Specification 2.0, section 5 (binary format).
 */
import { ByteReader, MalformedModule } from './byte-reader.js';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'funcref' | 'externref';
export type ExternKind = 'function' | 'table' | 'memory' | 'global' | 'tag';

export interface FunctionType {
  params: ValueType[];
  results: ValueType[];
}

/** Limits of a memory (in pages of 64 KiB) or a table (in entries). */
export interface Limits {
  min: number;
  max: number | undefined;
  shared: boolean;
  /** Where they are in the module: first byte, and the one behind. */
  range: [start: number, end: number];
}

export interface WasmImport {
  module: string;
  name: string;
  kind: ExternKind;
  /** Of a function. */
  type?: FunctionType;
}

export interface WasmExport {
  name: string;
  kind: ExternKind;
  /** Of a function. */
  type?: FunctionType;
}

export interface WasmModule {
  imports: WasmImport[];
  exports: WasmExport[];
  /** Those that the module defines, without imported ones. */
  memories: Limits[];
  tables: Limits[];
  /** Whether it names a function that runs at its instantiation. */
  hasStart: boolean;
  /** Where the contents of each section are, by its number. */
  sections: Map<number, { header: number; start: number; end: number }>;
}

/** Numbers of sections, in the binary format. */
export const Section = { type: 1, import: 2, function: 3, table: 4, memory: 5, export: 7, start: 8 } as const;
const LAST_SECTION = 13;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const FUNCTION_FORM = 0x60;
const TABLE_WITH_VALUE = 0x40;
const LIMITS_MAX = 1;
const LIMITS_SHARED = 2;

const valueTypes = new Map<number, ValueType>([
  [0x7f, 'i32'],
  [0x7e, 'i64'],
  [0x7d, 'f32'],
  [0x7c, 'f64'],
  [0x7b, 'v128'],
  [0x70, 'funcref'],
  [0x6f, 'externref'],
]);
const externKinds: readonly ExternKind[] = ['function', 'table', 'memory', 'global', 'tag'];

/** @throws MalformedModule for what is no module, and for what none of the sections that are looked at may hold */
export function readWasmModule(bytes: Uint8Array): WasmModule {
  const reader = new ByteReader(bytes);
  for (const expected of HEADER)
    if (reader.byte() !== expected)
      throw new MalformedModule('it does not begin with \\0asm and version 1 of the format');
  const sections: WasmModule['sections'] = new Map();
  while (!reader.done) {
    const header = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.at;
    reader.skip(size);
    if (id === 0) continue;
    if (id > LAST_SECTION) throw new MalformedModule(`section ${id} is not known`);
    if (sections.has(id)) throw new MalformedModule(`section ${id} is there twice`);
    sections.set(id, { header, start, end: reader.at });
  }
  return new SectionReader(bytes, sections).module();
}

class SectionReader {
  readonly #bytes: Uint8Array;
  readonly #sections: WasmModule['sections'];
  #types: FunctionType[] = [];
  /** Type of each function, imported ones first. */
  readonly #functions: FunctionType[] = [];

  constructor(bytes: Uint8Array, sections: WasmModule['sections']) {
    this.#bytes = bytes;
    this.#sections = sections;
  }

  module(): WasmModule {
    this.#types = this.#read(Section.type, (reader) => functionType(reader));
    const imports = this.#read(Section.import, (reader) => this.#import(reader));
    for (const type of this.#read(Section.function, (reader) => this.#typeAt(reader.u32())))
      this.#functions.push(type);
    return {
      imports,
      tables: this.#read(Section.table, tableLimits),
      memories: this.#read(Section.memory, limits),
      exports: this.#read(Section.export, (reader) => this.#export(reader)),
      hasStart: this.#sections.has(Section.start),
      sections: this.#sections,
    };
  }

  #read<Item>(id: number, item: (reader: ByteReader) => Item): Item[] {
    const section = this.#sections.get(id);
    if (section === undefined) return [];
    const reader = new ByteReader(this.#bytes, section.start, section.end);
    const items = reader.vector(() => item(reader));
    if (!reader.done) throw new MalformedModule(`section ${id} has bytes behind its items`);
    return items;
  }

  #import(reader: ByteReader): WasmImport {
    const found: WasmImport = { module: reader.name(), name: reader.name(), kind: externKind(reader) };
    switch (found.kind) {
      case 'function':
        found.type = this.#typeAt(reader.u32());
        this.#functions.push(found.type);
        break;
      case 'table':
        tableLimits(reader);
        break;
      case 'memory':
        limits(reader);
        break;
      case 'global':
        valueType(reader);
        reader.byte();
        break;
      case 'tag':
        reader.byte();
        reader.u32();
    }
    return found;
  }

  #export(reader: ByteReader): WasmExport {
    const found: WasmExport = { name: reader.name(), kind: externKind(reader) };
    const index = reader.u32();
    if (found.kind === 'function') {
      found.type = this.#functions[index];
      if (found.type === undefined) throw new MalformedModule(`there is no function ${index}`);
    }
    return found;
  }

  #typeAt(index: number): FunctionType {
    const type = this.#types[index];
    if (type === undefined) throw new MalformedModule(`there is no type ${index}`);
    return type;
  }
}

function functionType(reader: ByteReader): FunctionType {
  const form = reader.byte();
  if (form !== FUNCTION_FORM)
    throw new MalformedModule(`type form 0x${form.toString(16)} is not supported, function types are`);
  return {
    params: reader.vector(() => valueType(reader)),
    results: reader.vector(() => valueType(reader)),
  };
}

function valueType(reader: ByteReader): ValueType {
  const byte = reader.byte();
  const type = valueTypes.get(byte);
  if (type === undefined) throw new MalformedModule(`value type 0x${byte.toString(16)} is not supported`);
  return type;
}

function externKind(reader: ByteReader): ExternKind {
  const byte = reader.byte();
  const kind = externKinds[byte];
  if (kind === undefined) throw new MalformedModule(`import or export kind ${byte} is not known`);
  return kind;
}

function tableLimits(reader: ByteReader): Limits {
  const type = reader.byte();
  if (type === TABLE_WITH_VALUE) throw new MalformedModule('tables with an initial value are not supported');
  if (type !== 0x70 && type !== 0x6f)
    throw new MalformedModule(`table type 0x${type.toString(16)} is not supported`);
  return limits(reader);
}

function limits(reader: ByteReader): Limits {
  const start = reader.at;
  const flags = reader.byte();
  if (flags > (LIMITS_MAX | LIMITS_SHARED))
    throw new MalformedModule(`limits of form ${flags} are not supported (64-bit memories are not)`);
  const min = reader.u32();
  const max = flags & LIMITS_MAX ? reader.u32() : undefined;
  return { min, max, shared: (flags & LIMITS_SHARED) !== 0, range: [start, reader.at] };
}
