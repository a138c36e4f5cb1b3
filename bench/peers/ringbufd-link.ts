import { FrameReader, headerSize, maskedFrame, Opcode, patchMaskedU64 } from '../websocket/masked-frame.js';
import { openWebSocket } from '../websocket/link.js';
import type { Block, OpenLink, Shape } from '../websocket/protocol.js';

const OUTPUT = 0x01;
const ACK = 0x81;
const WELCOME = 0x80;
const FRAME_HEADER = 16;
const SEQ_AT = 8;

/** A run of equal samples, in ring format. */
export function runOf({ sampleBytes, samplesPerMessage }: Shape): Buffer {
  const record = (sampleBytes + 15) & ~7;
  const run = Buffer.alloc(record * samplesPerMessage);
  for (let at = 0; at < run.length; at += record) {
    run.writeUInt32LE(sampleBytes, at);
    run.fill(7, at + 8, at + 8 + sampleBytes);
  }
  return run;
}

/** An OUTPUT frame that waits for its seq. */
export function outputFrame(shape: Shape): Buffer {
  return Buffer.concat([Buffer.of(OUTPUT, 0, 0, 0), Buffer.alloc(FRAME_HEADER - 4), runOf(shape)]);
}

/** `ringbuf.v1`: OUTPUT frames, cumulative ACKs; a full ring pauses the connection. */
export const openRingbufd: OpenLink = async (port, map, shape, flow) => {
  const socket = await openWebSocket(port, `/v1/maps/${map}/produce?on_full=block`, 'ringbuf.v1');
  const payload = outputFrame(shape);
  const frame = maskedFrame(payload);
  const seqAt = headerSize(payload.length) + SEQ_AT;
  const reader = new FrameReader();
  let next = 1;
  let acknowledged = 0;
  return {
    socket,
    createBlock: () => ({
      bytes: Buffer.concat(Array<Buffer>(flow.perBlock).fill(frame)),
      messages: flow.perBlock,
    }),
    prepare({ bytes, messages }: Block) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let i = 0; i < messages; i++) patchMaskedU64(view, i * frame.length + seqAt, next++);
    },
    receive(chunk) {
      const before = acknowledged;
      reader.push(chunk, (body, opcode) => {
        if (opcode === Opcode.PING) socket.write(maskedFrame(body, Opcode.PONG));
        if (opcode !== Opcode.BINARY) return;
        if (body[0] === ACK)
          acknowledged = body.readUInt32LE(SEQ_AT) + body.readUInt32LE(SEQ_AT + 4) * 2 ** 32;
        else if (body[0] !== WELCOME) throw new Error(`the daemon says ${body.toString('latin1')}`);
      });
      return acknowledged - before;
    },
  };
};

/** The same frames into a server that only counts their bytes, and says how many when it is asked. */
export const openSink: OpenLink = async (port, _target, shape, flow) => {
  const socket = await openWebSocket(port, '/');
  const frame = maskedFrame(outputFrame(shape));
  const reader = new FrameReader();
  return {
    socket,
    createBlock: () => ({
      bytes: Buffer.concat(Array<Buffer>(flow.perBlock).fill(frame)),
      messages: flow.perBlock,
    }),
    prepare() {
      // Nothing changes from frame to frame.
    },
    receive(chunk) {
      let counted = 0;
      reader.push(chunk, (body) => (counted = Number(body.toString())));
      return counted;
    },
    askForTheEnd: () => void socket.write(maskedFrame(Buffer.from('how many?'), Opcode.TEXT)),
  };
};
