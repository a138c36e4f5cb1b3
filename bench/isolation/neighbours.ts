/** The maps beside the hostile one: frames of small samples into maps that count by themselves. */
import { Op } from '../../src/wire/index.js';
import type { DaemonProcess } from '../../test/support/daemon-process.js';
import { FrameConnection } from '../latency/frame-connection.js';
import { runOf } from '../peers/ringbufd-link.js';

const RING_BYTES = 1 << 22;
const SAMPLE = { sampleBytes: 64, samplesPerMessage: 56 };
const WINDOW_MESSAGES = 64;
/** The generator sleeps in between, so that it leaves the processor to the daemon and its threads. */
const TURN_MS = 4;

export class Neighbours {
  readonly #daemon: DaemonProcess;
  readonly #maps: readonly string[];
  readonly #connections: readonly FrameConnection[];
  readonly #sent: number[];
  readonly #acked: number[];
  readonly #run = runOf(SAMPLE);

  private constructor(
    daemon: DaemonProcess,
    maps: readonly string[],
    connections: readonly FrameConnection[],
  ) {
    this.#daemon = daemon;
    this.#maps = maps;
    this.#connections = connections;
    this.#sent = connections.map(() => 0);
    this.#acked = connections.map(() => 0);
  }

  static async open(daemon: DaemonProcess, maps: readonly string[]): Promise<Neighbours> {
    const count = { kind: 'count', trigger: { mode: 'auto' } };
    for (const map of maps) {
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: RING_BYTES });
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/count`, count);
    }
    const port = Number(new URL(daemon.url).port);
    const open = maps.map((map) => FrameConnection.open(port, map, '?on_full=block'));
    return new Neighbours(daemon, maps, await Promise.all(open));
  }

  /** As fast as it is acknowledged. @returns samples a second, of all maps together */
  async saturate(seconds: number): Promise<number> {
    let isOver = false;
    for (const [index, connection] of this.#connections.entries()) {
      const fill = (): void => {
        while (!isOver && this.#sent[index]! - this.#acked[index]! < WINDOW_MESSAGES) this.#send(index);
      };
      connection.onFrame = (frame) => {
        if (frame.op === Op.ACK) this.#acked[index] = Number(frame.seq);
        if (frame.op === Op.ERROR) throw new Error(frame.message);
        fill();
      };
      fill();
    }
    const rate = await this.#drainedPerSecond(seconds);
    isOver = true;
    return rate;
  }

  /**
   * Offers a fixed load, whatever comes back.
   * @param rate samples a second, of all maps together
   * @returns samples a second that were drained
   */
  async offer(rate: number, seconds: number): Promise<number> {
    for (const connection of this.#connections)
      connection.onFrame = (frame) => {
        if (frame.op === Op.ERROR) throw new Error(frame.message);
      };
    const messagesPerMs = rate / 1000 / SAMPLE.samplesPerMessage;
    const began = performance.now();
    let sent = 0;
    const timer = setInterval(() => {
      for (const due = (performance.now() - began) * messagesPerMs; sent < due; sent++)
        this.#send(sent % this.#connections.length);
    }, TURN_MS);
    try {
      return await this.#drainedPerSecond(seconds);
    } finally {
      clearInterval(timer);
    }
  }

  /** Waits until the maps have drained everything. */
  async rest(): Promise<void> {
    const due = this.#sent.reduce((sum, messages) => sum + messages, 0) * SAMPLE.samplesPerMessage;
    while ((await this.#drained()) < due) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #send(index: number): void {
    const seq = ++this.#sent[index]!;
    this.#connections[index]!.send({ op: Op.OUTPUT, seq, atomic: false, resend: false, run: this.#run });
  }

  async #drainedPerSecond(seconds: number): Promise<number> {
    const before = await this.#drained();
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const drained = (await this.#drained()) - before;
    return (drained * 1000) / (performance.now() - began);
  }

  async #drained(): Promise<number> {
    const maps = await Promise.all(this.#maps.map((map) => this.#daemon.rest.showMap(map)));
    return maps.reduce((sum, { counters }) => sum + counters.drained_samples, 0);
  }
}
