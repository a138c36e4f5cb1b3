// `npm run build:wasm`: compiles wasm/ into modules of src/, in base64: what is published then needs no compiler and no
// file beside its code. With --check it only says whether that has been done.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const SOURCE = 'wasm/record-stager.ts';
const TARGET = 'src/server/journal/record-stager-wasm.ts';
const FLAGS = [
  ...['--runtime', 'stub', '--use', 'abort=', '-O3', '--noAssert', '--enable', 'simd'],
  // src/server/journal/record-memory.ts brings the memory.
  ...['--importMemory', '--initialMemory', '1'],
];

/** @returns {string} the text of the module in src/ */
function compile() {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-wasm-'));
  try {
    const file = join(folder, 'out.wasm');
    const asc = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
    const { status, stderr } = spawnSync(
      process.execPath,
      [asc, join(root, SOURCE), ...FLAGS, '--outFile', file],
      {
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(stderr);
    const lines = readFileSync(file)
      .toString('base64')
      .match(/.{1,100}/g);
    const text = lines?.map((line) => `  '${line}',`).join('\n');
    return `/** ${SOURCE}, compiled by \`npm run build:wasm\`. In base64. */\nexport const recordStagerWasm = [\n${text}\n].join('');\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const target = join(root, TARGET);
const text = compile();
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write(`${TARGET} is not what ${SOURCE} compiles to: run npm run build:wasm\n`);
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
