import { encodeServerFrame, encodeServerJson, type ServerFrame } from '../wire/index.js';

/** A frame that goes to many connections: encoded once per dialect, when the first one asks. */
export class EncodedFrame<Frame extends ServerFrame = ServerFrame> {
  readonly frame: Frame;
  #binary: Uint8Array | undefined;
  #json: string | undefined;

  constructor(frame: Frame) {
    this.frame = frame;
  }

  get binary(): Uint8Array {
    return (this.#binary ??= encodeServerFrame(this.frame));
  }

  get json(): string {
    return (this.#json ??= encodeServerJson(this.frame));
  }
}
