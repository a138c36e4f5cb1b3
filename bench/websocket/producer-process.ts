/**
 * The producers of one contender, in a process of their own. Takes jobs over IPC, one at a time: opens the connections,
 * pumps, closes them, and answers what they did.
 */
import { openJetStream, openNats, openNatsDelivered } from '../peers/nats-link.js';
import { openMqtt } from '../peers/mosquitto.js';
import { openRedis } from '../peers/redis.js';
import { openRingbufd, openSink } from '../peers/ringbufd-link.js';
import type { LinkKind } from '../peers/contender.js';
import type { Flow, OpenLink, Shape } from './protocol.js';
import { pump, type Pumped } from './pump.js';
import { openSdk, pumpSdk } from './sdk-pump.js';

export interface Job {
  readonly link: LinkKind;
  readonly port: number;
  readonly target: string;
  readonly producers: number;
  readonly shape: Shape;
  readonly flow: Flow;
  /** How long to send, in seconds. */
  readonly seconds: number;
}

export type JobAnswer =
  | {
      readonly messages: number;
      /** Of the producer that took longest. */
      readonly seconds: number;
      /** Processor seconds that this process used meanwhile. */
      readonly cpuSeconds: number;
    }
  | { readonly error: string };

const links: Record<Exclude<LinkKind, 'sdk'>, OpenLink> = {
  ringbufd: openRingbufd,
  sink: openSink,
  nats: openNats,
  natsDelivered: openNatsDelivered,
  jetstream: openJetStream,
  redis: openRedis,
  mqtt: openMqtt,
};

/** What the producers of a job are, once they are connected. */
interface Started {
  pump: () => Promise<Pumped>;
  close: () => unknown;
}

async function start({ link, port, target, shape, flow, seconds }: Job): Promise<Started> {
  if (link === 'sdk') {
    const producer = await openSdk(port, target);
    return { pump: () => pumpSdk(producer, shape, flow, seconds), close: () => producer.close() };
  }
  const open = await links[link](port, target, shape, flow);
  return { pump: () => pump(open, flow, seconds), close: () => open.socket.destroy() };
}

async function work(job: Job): Promise<JobAnswer> {
  const started = await Promise.all(Array.from({ length: job.producers }, () => start(job)));
  const before = process.cpuUsage();
  try {
    const pumped = await Promise.all(started.map((one) => one.pump()));
    const { user, system } = process.cpuUsage(before);
    return {
      messages: pumped.reduce((sum, { messages }) => sum + messages, 0),
      seconds: Math.max(...pumped.map((one) => one.seconds)),
      cpuSeconds: (user + system) / 1e6,
    };
  } finally {
    for (const one of started) await one.close();
  }
}

process.on('message', (job: Job) => {
  work(job).then(
    (answer) => process.send!(answer),
    (error: unknown) => process.send!({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
