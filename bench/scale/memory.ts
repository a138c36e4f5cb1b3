import { readFileSync } from 'node:fs';

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has gone`);
  return Number(kib) * 1024;
}

/** Waits until the resident memory of a process has stopped to fall, at most `mostMs`. @returns it, in bytes */
export async function settledBytes(pid: number, mostMs: number): Promise<number> {
  const deadline = performance.now() + mostMs;
  let lowest = residentBytes(pid);
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_STEP_MS));
    lowest = Math.min(lowest, residentBytes(pid));
  }
  return lowest;
}

const SETTLE_STEP_MS = 250;
