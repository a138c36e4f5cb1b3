import { fileURLToPath } from 'node:url';
import { CommandFailed, outputOf } from '../measure/child.js';

/** Nanoseconds per sample. */
export interface KernelSpeed {
  readonly output: number;
  readonly drain: number;
}

const folder = fileURLToPath(new URL('./kernel/', import.meta.url));
const UNAVAILABLE = 3;

/** Builds what measures the kernel. @returns undefined when it is ready, else why it cannot be on this machine */
export async function buildKernelBenchmark(): Promise<string | undefined> {
  try {
    await outputOf('sh', [`${folder}build.sh`]);
    return undefined;
  } catch (error) {
    if (error instanceof CommandFailed && error.code === UNAVAILABLE) return error.complaints;
    throw error;
  }
}

/** The kernel's own user ring buffer, filled through libbpf and drained by a BPF program that reads 4 bytes. */
export async function measureKernel(size: number, samples: number): Promise<KernelSpeed> {
  const output = await outputOf(`${folder}build/user-ringbuf`, [String(size), String(samples)]);
  return JSON.parse(output) as KernelSpeed;
}
