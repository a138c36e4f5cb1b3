import type { Block, Flow, ProducerLink } from './protocol.js';

/** What one producer has done. */
export interface Pumped {
  readonly messages: number;
  /** From the first write to the last acknowledgement, in seconds. */
  readonly seconds: number;
}

/**
 * Writes blocks as fast as they are acknowledged (or, where nothing is acknowledged, as fast as the socket takes them) for
 * a time, then waits for the rest.
 * @throws Error when the connection ends early
 */
export function pump(link: ProducerLink, flow: Flow, seconds: number): Promise<Pumped> {
  const { socket } = link;
  const free: Block[] = Array.from({ length: flow.window / flow.perBlock + 1 }, () => link.createBlock());
  const isSilent = link.askForTheEnd !== undefined;
  const began = performance.now();
  const deadline = began + seconds * 1000;
  let sent = 0;
  let acknowledged = 0;
  let unwritten = 0;
  let asked = false;
  return new Promise((resolve, reject) => {
    const fail = (): void =>
      reject(new Error(`the connection ended after ${acknowledged} of ${sent} messages`));
    const write = (): void => {
      while (performance.now() < deadline) {
        if (!isSilent && sent - acknowledged > flow.window - flow.perBlock) return;
        const block = free.pop();
        if (block === undefined) return;
        link.prepare(block);
        sent += block.messages;
        unwritten++;
        socket.write(block.bytes, () => {
          unwritten--;
          free.push(block);
          write();
        });
      }
      if (isSilent && !asked && unwritten === 0) {
        asked = true;
        link.askForTheEnd?.();
      }
      endIfDone();
    };
    const endIfDone = (): void => {
      if (acknowledged < sent || unwritten > 0 || performance.now() < deadline) return;
      const took = (performance.now() - began) / 1000;
      socket.off('data', receive).off('close', fail);
      socket.pause();
      if (acknowledged > sent) reject(new Error(`${acknowledged} messages acknowledged, ${sent} sent`));
      else resolve({ messages: sent, seconds: took });
    };
    const receive = (chunk: Buffer): void => {
      acknowledged += link.receive(chunk);
      write();
    };
    socket.on('data', receive).on('close', fail);
    socket.resume();
    write();
  });
}
