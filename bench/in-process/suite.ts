/** The ring alone, in one process: beside the kernel's, and beside a plain copy. */
import type { Group, GroupContext } from '../measure/group.js';
import { nodeArguments, outputOf } from '../measure/child.js';
import { median, ratioOf } from '../measure/statistics.js';
import { atLeast, type GroupResult, type Row, type Table, type Target } from '../report/results.js';
import { buildKernelBenchmark, measureKernel, type KernelSpeed } from './kernel.js';
import type { RingKind, RingSpeed, RingSpeedCase } from './ring-speed.js';

const SIZES = [16, 64, 256, 1024] as const;
const KINDS: readonly RingKind[] = ['managed', 'shared', 'direct'];
const KERNEL_SAMPLES = { quick: 500_000, full: 2_000_000 };
const FILLS = { quick: 200, full: 1000 };

const DRAIN_TARGET = 8;
const OUTPUT_TARGET = 0.6;

interface Tries {
  kernel: KernelSpeed[];
  rings: Record<RingKind, RingSpeed[]>;
}

/** Measures one case in a process of its own. */
export async function ringSpeedOf(measured: RingSpeedCase): Promise<RingSpeed> {
  const args = nodeArguments('in-process/ring-speed-process.ts', JSON.stringify(measured));
  return JSON.parse(await outputOf(process.execPath, args)) as RingSpeed;
}

export const inProcess: Group = { name: 'in-process', run };

async function run({ quick, tries, progress }: GroupContext): Promise<GroupResult> {
  const kernelMissing = await buildKernelBenchmark();
  const length = quick ? 'quick' : 'full';
  // In a hurry only what the targets are about.
  const sizes = quick ? ([64, 256] as const) : SIZES;
  const kinds: readonly RingKind[] = quick ? ['managed'] : KINDS;
  const results = new Map(
    sizes.map((size): [number, Tries] => [
      size,
      { kernel: [], rings: { managed: [], shared: [], direct: [] } },
    ]),
  );
  for (let number = 1; number <= tries; number++) {
    progress(`in-process: try ${number} of ${tries}`);
    for (const size of sizes) {
      const { kernel, rings } = results.get(size)!;
      for (const kind of kinds) rings[kind].push(await ringSpeedOf({ size, kind, fills: FILLS[length] }));
      if (kernelMissing === undefined) kernel.push(await measureKernel(size, KERNEL_SAMPLES[length]));
    }
  }
  return {
    group: 'in-process',
    tables: [...results].map(([size, measured]) => table(size, measured, kernelMissing)),
    targets: [...results].flatMap(([size, measured]) => targets(size, measured)),
    skipped: kernelMissing === undefined ? [] : [`the kernel's own ring: ${kernelMissing}`],
  };
}

const names: Record<RingKind, string> = {
  managed: 'managed ring, ArrayBuffer',
  shared: 'managed ring, SharedArrayBuffer',
  direct: 'direct ring, ArrayBuffer',
};

function table(size: number, { kernel, rings }: Tries, kernelMissing: string | undefined): Table {
  const cell = (speeds: readonly RingSpeed[], step: keyof RingSpeed) => ({
    values: speeds.map((s) => s[step]),
  });
  const rows = KINDS.filter((kind) => rings[kind].length > 0).map((kind): Row => {
    const speeds = rings[kind];
    return {
      name: names[kind],
      cells: {
        copy: cell(speeds, 'copy'),
        outputRun: cell(speeds, 'outputRun'),
        share: { values: speeds.map((s) => s.copy / s.outputRun) },
        output: cell(speeds, 'output'),
        drain: cell(speeds, 'drain'),
        drainRun: cell(speeds, 'drainRun'),
      },
    };
  });
  rows.push({
    name: "the kernel's user ring buffer",
    cells:
      kernelMissing === undefined
        ? { output: { values: kernel.map((k) => k.output) }, drain: { values: kernel.map((k) => k.drain) } }
        : {},
    note:
      kernelMissing ??
      'libbpf reserve, memcpy, submit; bpf_user_ringbuf_drain with a callback that reads 4 bytes',
  });
  return {
    key: `in-process-${size}`,
    title: `In one process, ${size}-byte samples: nanoseconds per sample`,
    columns: [
      { key: 'copy', title: 'plain copy', digits: 2 },
      { key: 'outputRun', title: 'output, batched, with its check', digits: 2 },
      { key: 'share', title: 'copy ÷ output', digits: 2 },
      { key: 'output', title: 'output, one by one', digits: 1 },
      { key: 'drain', title: 'drain, callback reads 4 bytes', digits: 2 },
      { key: 'drainRun', title: 'drain in runs', digits: 1 },
    ],
    rows,
  };
}

function targets(size: number, { kernel, rings }: Tries): Target[] {
  const { managed } = rings;
  const list: Target[] = [];
  if (size === 64 && kernel.length > 0)
    list.push(
      atLeast(
        "drain of 64-byte samples, callback reading 4 bytes: times the kernel's rate",
        DRAIN_TARGET,
        ratioOf(
          kernel.map((k) => k.drain),
          managed.map((m) => m.drain),
        ),
      ),
    );
  if (size >= 256)
    list.push(
      atLeast(
        `batched output with its check, ${size}-byte samples: share of a plain copy's rate`,
        OUTPUT_TARGET,
        median(managed.map((m) => m.copy / m.outputRun)),
      ),
    );
  return list;
}
