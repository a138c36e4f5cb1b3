import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runConformance } from './cli.js';
import { committedTraces } from './committed.js';
import { runFuzz } from './fuzz-cli.js';

const [first, second] = committedTraces();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(...lines: string[]): string {
  const path = join(folder, `${Math.random()}.jsonl`);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

async function run(
  command: typeof runConformance,
  args: string[],
): Promise<{ status: number; out: string[]; error: string }> {
  const out: string[] = [];
  const error: string[] = [];
  const status = await command(args, { out: (line) => out.push(line), error: (line) => error.push(line) });
  return { status, out, error: error.join('\n') };
}

describe('conformance', () => {
  it('ends with what passed and failed', async () => {
    const file = fileOf(JSON.stringify(first), '', JSON.stringify(second));
    const { status, out } = await run(runConformance, [file]);
    expect(out.at(-1)).toBe('2 passed, 0 failed');
    expect(status).toBe(0);
  });

  it('names trace, op and field of the first difference, both ways, and counts the trace once', async () => {
    const forged = structuredClone(second!);
    forged.ops[2]!.prod = '88';
    const { status, out } = await run(runConformance, [
      fileOf(JSON.stringify(first), JSON.stringify(forged)),
    ]);
    expect(out.slice(0, 2)).toEqual([
      expect.stringMatching(/^two-samples: op 2 \(reserve\), prod: Linux 88, here 80 \(src\/ring, direct\)$/),
      expect.stringMatching(/^two-samples: op 2 \(reserve\), prod: Linux 88, here 80 \(over the network/),
    ]);
    expect(out.at(-2)).toBe(
      `${first!.ops.length + forged.ops.length} operations recorded on Linux, ${first!.ops.length + 2} identical`,
    );
    expect(out.at(-1)).toBe('1 passed, 1 failed');
    expect(status).toBe(1);
  });

  it('says that the network was left out when it was', async () => {
    const { out } = await run(runConformance, ['--ring-only', fileOf(JSON.stringify(first))]);
    expect(out).toContain('over the network: not run (--ring-only)');
    const nested = committedTraces().find(({ name }) => name === 'nested-busy');
    const both = await run(runConformance, [fileOf(JSON.stringify(nested))]);
    expect(both.out[0]).toBe('on src/ring only, since a nested drain has no REST form: nested-busy');
  });

  const good = JSON.stringify({ name: 't', max_entries: 4096, ops: [] });
  const withOp = (op: Record<string, unknown>): string =>
    JSON.stringify({ name: 't', max_entries: 4096, ops: [{ cons: '0', prod: '0', ...op }] });

  it.each([
    ['not JSON', [good, '{"name":'], /:2: not JSON/],
    ['no object', ['[]'], /:1: not an object/],
    ['no name', ['{}'], /:1: a trace has a "name"/],
    ['no ring size', [good.replace('4096', '12288')], /:1: "max_entries" is a power of two from 4096/],
    ['no ops', ['{"name":"t","max_entries":4096}'], /:1: a trace has a list of "ops"/],
    ['an unknown op', [withOp({ op: 'jump' })], /:1: op 0: no such op: "jump"/],
    ['an op of Object.prototype', [withOp({ op: 'constructor' })], /:1: op 0: no such op: "constructor"/],
    ['a missing field', [withOp({ op: 'poll' })], /:1: op 0: poll with "writable" missing/],
    ['a number for a position', [withOp({ op: 'prodpos', pos: 8 })], /:1: op 0: prodpos with "pos" 8/],
    [
      'more than u64',
      [withOp({ op: 'prodpos', pos: '18446744073709551616' })],
      /:1: op 0: prodpos with "pos"/,
    ],
    ['half a byte', [withOp({ op: 'write', off: 0, hex: '0' })], /:1: op 0: write with "hex" "0"/],
    ['a write too far', [withOp({ op: 'write', off: 8191, hex: '0000' })], /:1: op 0: write beyond/],
    ['a submit of nothing', [withOp({ op: 'submit', id: 0 })], /:1: op 0: no reservation has the id 0 yet/],
    ['a reservation without id', [withOp({ op: 'reserve', size: 0, ret: 0 })], /:1: op 0: reserve with "id"/],
    ['nothing', [''], /holds no trace/],
  ])('refuses a file with %s, and says where', async (_what, lines, complaint) => {
    const { status, out, error } = await run(runConformance, [fileOf(...lines)]);
    expect(error).toMatch(complaint);
    expect(out).toEqual([]);
    expect(status).toBe(1);
  });

  it('refuses a file that is not there', async () => {
    const { status, error } = await run(runConformance, [join(folder, 'none.jsonl')]);
    expect(error).toMatch(/none\.jsonl: cannot be read: ENOENT/);
    expect(status).toBe(1);
  });

  it('refuses unknown options with its usage', async () => {
    const { status, error } = await run(runConformance, ['--fast']);
    expect(error).toMatch(/usage: conformance/);
    expect(status).toBe(2);
  });
});

describe('conformance:fuzz', () => {
  const unavailable: typeof runConformance = (args, output) =>
    runFuzz(args, output, () => ({ available: false, reason: 'this kernel has no BTF' }));

  it('exits 3 with the reason where no kernel can record, and claims nothing', async () => {
    const { status, out, error } = await run(unavailable, ['--count', '5']);
    expect(error).toBe('not run: this kernel has no BTF');
    expect(out).toEqual([]);
    expect(status).toBe(3);
  });

  it.each([[['--seed', '-1']], [['--count', '0']], [['--count', 'many']], [['--first', '1.5']], [['stray']]])(
    'refuses %j with its usage',
    async (args) => {
      const { status, error } = await run(unavailable, args);
      expect(error).toMatch(/usage: conformance:fuzz/);
      expect(status).toBe(2);
    },
  );
});
