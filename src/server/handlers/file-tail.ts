import type { FileHandle } from 'node:fs/promises';
import { BPF_RINGBUF_HDR_SZ, DYNPTR_MAX_SIZE, recordSize } from '../../ring/index.js';

/** Bytes read at a time while records are walked through. */
const CHUNK_BYTES = 64 * 1024;
const LF = 0x0a;

/**
 * Whether a file that an earlier run of the daemon left ends behind a whole sample. It does not after a crash in the
 * middle of a write, nor when it was written in the other format.
 * @param size bytes in the file
 */
export async function endsWhole(
  file: FileHandle,
  size: number,
  format: 'ndjson' | 'records',
): Promise<boolean> {
  if (size === 0) return true;
  return format === 'ndjson' ? endsWithLine(file, size) : endsWithRecord(file, size);
}

async function endsWithLine(file: FileHandle, size: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] === LF;
}

async function endsWithRecord(file: FileHandle, size: number): Promise<boolean> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let start = 0;
  let end = 0;
  let at = 0;
  while (at + BPF_RINGBUF_HDR_SZ <= size) {
    if (at + BPF_RINGBUF_HDR_SZ > end) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, at);
      if (bytesRead < BPF_RINGBUF_HDR_SZ) return false;
      start = at;
      end = at + bytesRead;
    }
    const length = chunk.readUInt32LE(at - start);
    const padWord = chunk.readUInt32LE(at - start + 4);
    if (padWord !== 0 || length > DYNPTR_MAX_SIZE) return false;
    at += recordSize(length);
  }
  return at === size;
}
