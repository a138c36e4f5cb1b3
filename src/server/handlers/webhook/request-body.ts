import {
  BPF_RINGBUF_HDR_SZ,
  paddingSize,
  recordSize,
  type Dynptr,
  type SampleRun,
} from '../../../ring/index.js';
import { sampleToJson } from '../sample-json.js';

export type BodyFormat = 'ndjson' | 'json' | 'records';

/** What one POST carries. */
export interface Batch {
  /** Position of the first sample's record. */
  position: bigint;
  samples: number;
  body: Buffer;
}

export interface BatchLimits {
  /** Bytes of one body. */
  maxBytes: number;
  maxSamples: number;
  /** Samples of the first batch, when it was sent before and must come out the same. */
  firstSamples?: number;
}

export interface Batches {
  batches: Batch[];
  /** The first sample that no body can hold; what lies behind it is in no batch. */
  tooBig: { position: bigint; size: number } | undefined;
}

interface Form {
  contentType: string;
  open: string;
  between: string;
  close: string;
  encode(sample: Dynptr, position: bigint): Uint8Array;
}

const forms: Record<BodyFormat, Form> = {
  ndjson: {
    contentType: 'application/x-ndjson',
    open: '',
    between: '\n',
    close: '\n',
    encode: jsonEntry,
  },
  json: { contentType: 'application/json', open: '[', between: ',', close: ']', encode: jsonEntry },
  records: {
    contentType: 'application/vnd.ringbuf.records',
    open: '',
    between: '',
    close: '',
    encode: record,
  },
};

export function contentTypeOf(format: BodyFormat): string {
  return forms[format].contentType;
}

/**
 * Cuts a run into bodies, copying every sample: nothing of the ring is read after this call.
 * @param headPosition position of the run's first record
 */
export function toBatches(
  run: SampleRun,
  headPosition: bigint,
  format: BodyFormat,
  limits: BatchLimits,
): Batches {
  const form = forms[format];
  const frameBytes = form.open.length + form.close.length;
  const batches: Batch[] = [];
  let tooBig: Batches['tooBig'];
  let pieces: Uint8Array[] = [];
  let first = headPosition;
  let next = headPosition;
  let bytes = frameBytes;
  const flush = () => {
    if (pieces.length > 0)
      batches.push({ position: first, samples: pieces.length, body: assemble(form, pieces) });
    pieces = [];
    bytes = frameBytes;
  };
  run.forEach((sample, _index, distance) => {
    if (tooBig !== undefined) return;
    const position = headPosition + BigInt(distance);
    // No form is shorter than the sample itself: what cannot fit is not even copied.
    const piece = sample.size > limits.maxBytes ? undefined : form.encode(sample, position);
    if (piece === undefined || frameBytes + piece.length > limits.maxBytes) {
      tooBig = { position, size: sample.size };
      return;
    }
    const maxSamples = batches.length === 0 ? (limits.firstSamples ?? limits.maxSamples) : limits.maxSamples;
    const grown = bytes + piece.length + (pieces.length > 0 ? form.between.length : 0);
    // Records carry no position: each one's follows from the first, so a discarded one between them ends the body.
    const gap = format === 'records' && position !== next;
    if (pieces.length >= maxSamples || grown > limits.maxBytes || gap) flush();
    next = position + BigInt(recordSize(sample.size));
    if (pieces.length === 0) first = position;
    else bytes += form.between.length;
    pieces.push(piece);
    bytes += piece.length;
  });
  flush();
  return { batches, tooBig };
}

function assemble(form: Form, pieces: Uint8Array[]): Buffer {
  const between = Buffer.from(form.between);
  const parts: Uint8Array[] = [Buffer.from(form.open)];
  pieces.forEach((piece, index) => {
    if (index > 0 && between.length > 0) parts.push(between);
    parts.push(piece);
  });
  parts.push(Buffer.from(form.close));
  return Buffer.concat(parts);
}

/** `{"pos":"16","sample":"text"}`, as the file handler writes it. */
function jsonEntry(sample: Dynptr, position: bigint): Uint8Array {
  return Buffer.from(`{"pos":"${position}","sample":${JSON.stringify(sampleToJson(sample.copy()))}}`, 'utf8');
}

/** The sample in ring format: what an OUTPUT frame carries, padding zeroed. */
function record(sample: Dynptr): Uint8Array {
  const size = recordSize(sample.size);
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeUInt32LE(sample.size, 0);
  bytes.writeUInt32LE(0, 4);
  sample.read(bytes, BPF_RINGBUF_HDR_SZ);
  return bytes.fill(0, size - paddingSize(sample.size));
}
