import type { Socket } from 'node:net';
import { cpuSeconds } from '../peers/server.js';
import { createCountedMap, startDaemon } from '../peers/ringbufd.js';
import { openWebSocket } from '../websocket/link.js';
import { settledBytes } from './memory.js';

export interface IdleProducers {
  readonly producers: number;
  /** Resident memory of the daemon that each costs, in KiB. */
  readonly kibEach: number;
  /** Processor time that all of them together take while nobody sends, per cent of a core. */
  readonly cpuPercent: number;
}

/** Handshakes at a time. */
const BATCH = 100;
const SETTLE_MS = { quick: 1000, full: 4000 };
const RING_BYTES = 1 << 16;

/** Connects producers that do nothing, to a daemon that has served one already. */
export async function measureIdleProducers(producers: number, quick: boolean): Promise<IdleProducers> {
  const daemon = await startDaemon();
  const settleMs = SETTLE_MS[quick ? 'quick' : 'full'];
  const sockets: Socket[] = [];
  const connect = async (count: number): Promise<void> => {
    const opened = Array.from({ length: count }, () =>
      openWebSocket(daemon.port, '/v1/maps/idle/produce', 'ringbuf.v1'),
    );
    for (const socket of await Promise.all(opened)) sockets.push(socket.resume());
  };
  try {
    await createCountedMap(daemon, 'idle', { max_entries: RING_BYTES });
    await connect(BATCH);
    const before = await settledBytes(daemon.pid, settleMs);
    while (sockets.length < producers + BATCH) await connect(BATCH);
    const after = await settledBytes(daemon.pid, settleMs);
    const cpuBefore = cpuSeconds(daemon.pid);
    await settledBytes(daemon.pid, settleMs);
    const cpu = cpuSeconds(daemon.pid) - cpuBefore;
    return {
      producers,
      kibEach: (after - before) / 1024 / producers,
      cpuPercent: (cpu / (settleMs / 1000)) * 100,
    };
  } finally {
    for (const socket of sockets) socket.destroy();
    await daemon.stop();
  }
}
