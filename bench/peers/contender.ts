import type { ServerProcess } from './server.js';

/** Which client opens connections to a contender: a key of the table in websocket/producer-process.ts. */
export type LinkKind =
  'ringbufd' | 'sdk' | 'sink' | 'nats' | 'natsDelivered' | 'jetstream' | 'redis' | 'mqtt';

/** A server that producers send to. */
export interface Contender {
  readonly name: string;
  readonly link: LinkKind;
  readonly server: ServerProcess;
  readonly port: number;
  /** Map, subject, stream or topic. */
  readonly target: string;
  /** How it was set up, in a line. */
  readonly setting: string;
  /** Most messages of one producer on their way; absent: as many as the client likes. */
  readonly mostInFlight?: number;
  /** What the protocol needs for one message besides the samples, in bytes: sizes the blocks. */
  readonly overheadBytes: number;
  /** Whether a message may be a batch of samples in this contender's own format. */
  readonly batches: 'frames' | 'packed';
  /**
   * Compares what was acknowledged with what the server has, then makes room for the next try.
   * @throws Error when a sample is missing or too many
   */
  settle: (samples: number, messages: number) => Promise<void>;
  stop: () => Promise<void>;
}

/** A contender that cannot run here. */
export interface Absent {
  readonly name: string;
  readonly absent: string;
}
