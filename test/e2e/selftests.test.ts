/** The kernel's selftests over a real socket: producer operations as frames, drains over REST. */
import { describe } from 'vitest';
import { Op, type ClientFrame, type ServerFrame } from '../../src/wire/index.js';
import {
  runKernelSelftests,
  type SelftestDrain,
  type SelftestMap,
  type SelftestReservation,
} from '../ring/selftests.case.js';
import type { TestDaemon } from '../support/daemon.js';
import type { RawClient } from '../support/raw-client.js';
import { useDaemon } from '../support/use-daemon.js';

type WithoutSeq<Frame> = Frame extends { seq: bigint } ? Omit<Frame, 'seq'> : never;

interface RemoteReservation extends SelftestReservation {
  position: bigint;
}

const ENOSPC = 28;

/** One map of a daemon, with a connection of its own. */
class RemoteMap implements SelftestMap {
  readonly #daemon: TestDaemon;
  readonly #map: string;
  readonly #client: RawClient;
  #seq = 0n;
  #wakeups = 0;

  constructor(daemon: TestDaemon, map: string, client: RawClient) {
    this.#daemon = daemon;
    this.#map = map;
    this.#client = client;
  }

  async reserve(size: number): Promise<RemoteReservation | number> {
    const reply = await this.#request({ op: Op.RESERVE, size });
    if (reply.op === Op.ERROR) return -reply.errno;
    if (reply.op !== Op.RESERVED) throw new Error(`answered with op ${reply.op}`);
    return { size, position: reply.position };
  }

  async reserveBlocking(size: number, timeoutMs: number): Promise<RemoteReservation | number> {
    const end = performance.now() + timeoutMs;
    const need = Math.ceil((size + 8) / 8) * 8;
    await this.#request({ op: Op.WATCH, on: true, minFree: need });
    for (;;) {
      const seen = this.#wakeups;
      const reservation = await this.reserve(size);
      if (reservation !== -ENOSPC) return reservation;
      // A WAKEUP may have come with the answer; else wait for the next one.
      const left = end - performance.now();
      if (this.#wakeups === seen && !(left > 0 && (await this.#wakeup(left)))) return -ENOSPC;
    }
  }

  async submit(reservation: SelftestReservation, payload: Uint8Array): Promise<void> {
    const { position } = reservation as RemoteReservation;
    await this.#insist({ op: Op.SUBMIT, position, payload });
  }

  async discard(reservation: SelftestReservation): Promise<void> {
    await this.#insist({ op: Op.DISCARD, position: (reservation as RemoteReservation).position });
  }

  async write(offset: bigint, bytes: Uint8Array): Promise<number> {
    return errnoOf(await this.#request({ op: Op.WRITE, offset, bytes }));
  }

  async commit(producerPos: bigint): Promise<number> {
    return errnoOf(await this.#request({ op: Op.COMMIT, producerPos }));
  }

  async drain(): Promise<SelftestDrain> {
    const { rest } = this.#daemon;
    const { body } = await rest.call('POST', `/v1/maps/${this.#map}/drain`, {
      handler: 'capture',
      ctx: { reset: true },
    });
    const { state } = (await rest.expect(200, 'GET', `/v1/maps/${this.#map}/handlers/capture`)) as {
      state: { samples: { len: number; head: string }[] };
    };
    return {
      ret: body.ret as number,
      samples: state.samples.map(({ len, head }) => ({ length: len, head: Buffer.from(head, 'hex') })),
    };
  }

  async positions(): Promise<{ consumer: bigint; producer: bigint }> {
    const reply = await this.#request({ op: Op.QUERY });
    if (reply.op !== Op.INFO) throw new Error(`answered with op ${reply.op}`);
    return { consumer: reply.consumerPos, producer: reply.producerPos };
  }

  async close(): Promise<void> {
    await this.#client.close(1000);
  }

  /** Sends a frame and waits for its answer; WAKEUPs that come before it are counted. */
  async #request(frame: WithoutSeq<ClientFrame>): Promise<ServerFrame> {
    const seq = ++this.#seq;
    this.#client.send({ ...frame, seq });
    for (;;) {
      const reply = await this.#client.next();
      if (reply.op === Op.WAKEUP) this.#wakeups++;
      else if (reply.seq === seq) return reply;
      else throw new Error(`op ${reply.op} answers ${reply.seq} and not ${seq}`);
    }
  }

  async #insist(frame: WithoutSeq<ClientFrame>): Promise<void> {
    const errno = errnoOf(await this.#request(frame));
    if (errno !== 0) throw new Error(`op ${frame.op} was refused with ${errno}`);
  }

  /** Waits for a WAKEUP; false when none came in time. */
  async #wakeup(timeoutMs: number): Promise<boolean> {
    const frame = await this.#client.next(timeoutMs).catch(() => undefined);
    if (frame !== undefined && frame.op !== Op.WAKEUP) throw new Error(`op ${frame.op} came unasked`);
    return frame !== undefined;
  }
}

function errnoOf(reply: ServerFrame): number {
  return reply.op === Op.ERROR ? -reply.errno : 0;
}

describe('a daemon', () => {
  const test = useDaemon();
  runKernelSelftests({
    name: 'a map behind a socket',
    guardsModes: true,
    async open({ maxEntries, mode }) {
      const map = await test.newMap({ max_entries: maxEntries, mode });
      return new RemoteMap(test.daemon, map, await test.client(map));
    },
  });
});
