/** What the `file` handler puts into its files. */
import { BPF_RINGBUF_HDR_SZ, paddingSize, recordSize, type SampleRun } from '../../ring/index.js';
import { sampleToJson } from './sample-json.js';

export type FileFormat = 'ndjson' | 'records';

/** The samples of a run from number `first` on, as they stand in a file. @param headPosition of the record at its head */
export function formatRun(format: FileFormat, run: SampleRun, headPosition: bigint, first: number): Buffer {
  return format === 'ndjson' ? Buffer.from(ndjson(run, headPosition, first), 'utf8') : records(run, first);
}

/** One line a sample: `{"pos":"16","sample":"text"}`, pos being where its record starts. */
function ndjson(run: SampleRun, headPosition: bigint, first: number): string {
  let text = '';
  run.forEach((sample, index, distance) => {
    if (index < first) return;
    const pos = headPosition + BigInt(distance);
    text += `{"pos":"${pos}","sample":${JSON.stringify(sampleToJson(sample.copy()))}}\n`;
  });
  return text;
}

/** The samples as a run: what an OUTPUT frame carries, padding zeroed. */
function records(run: SampleRun, first: number): Buffer {
  let size = 0;
  run.forEach((sample, index) => {
    if (index >= first) size += recordSize(sample.size);
  });
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  run.forEach((sample, index) => {
    if (index < first) return;
    bytes.writeUInt32LE(sample.size, at);
    bytes.writeUInt32LE(0, at + 4);
    sample.read(bytes, at + BPF_RINGBUF_HDR_SZ);
    at += recordSize(sample.size);
    bytes.fill(0, at - paddingSize(sample.size), at);
  });
  return bytes;
}
