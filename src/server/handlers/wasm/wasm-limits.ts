import { Section, type Limits, type WasmModule } from './wasm-sections.js';

/**
 * Lowers the maximum of every memory and table that may grow past a bound, or declares one where there is none: growing
 * further then fails inside the module, as it does when a computer has no more memory.
 *
 * @param maxPages largest memory, in pages of 64 KiB; its initial size was checked against it
 * @param maxEntries largest table
 * @returns the module's bytes, changed or as they were
 */
export function capLimits(
  bytes: Uint8Array,
  module: WasmModule,
  maxPages: number,
  maxEntries: number,
): Uint8Array {
  // From the back to the front, so that places further on in the module stay what they are.
  const withMemory = capSection(bytes, module, Section.memory, module.memories, maxPages);
  return capSection(withMemory, module, Section.table, module.tables, maxEntries);
}

function capSection(
  bytes: Uint8Array,
  module: WasmModule,
  id: number,
  items: readonly Limits[],
  bound: number,
): Uint8Array {
  const section = module.sections.get(id);
  if (section === undefined || items.every(({ max }) => max !== undefined && max <= bound)) return bytes;
  const contents: number[] = [];
  let at = section.start;
  for (const { min, max, range } of items) {
    contents.push(
      ...bytes.subarray(at, range[0]),
      1,
      ...leb128(min),
      ...leb128(Math.min(max ?? bound, bound)),
    );
    at = range[1];
  }
  contents.push(...bytes.subarray(at, section.end));
  const header = [id, ...leb128(contents.length)];
  const before = bytes.subarray(0, section.header);
  const after = bytes.subarray(section.end);
  const capped = new Uint8Array(before.length + header.length + contents.length + after.length);
  capped.set(before);
  capped.set(header, before.length);
  capped.set(contents, before.length + header.length);
  capped.set(after, before.length + header.length + contents.length);
  return capped;
}

/** An unsigned number of at most 32 bits, 7 bits a byte, lowest first. */
function leb128(value: number): number[] {
  const bytes: number[] = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low + 128 : low);
  } while (value > 0);
  return bytes;
}
