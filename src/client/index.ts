/**
 * The SDK: a producer of one map over WebSocket, in Node and in browsers.
 *
 *     const producer = await connect({ map: 'events', producer: 'sensor-7' });
 *     await producer.output(['hello', new Uint8Array([1, 2, 3])]);
 *     await producer.close();
 *
 * What it promises, for a producer with an id: each sample whose `output` resolved is in the ring exactly once, at the
 * map's durability, in the order of the calls, over any number of lost connections. Where that cannot be known (the
 * map's content was lost, the daemon forgot the producer) the event `uncertain` says what is open, and nothing else does.
 */
export { connect, RingbufProducer } from './producer.js';
export type { CloseReport } from './producer.js';
export { handle, RemoteHandler, type RemoteHandlerEvents } from './remote-handler.js';
export type { BatchVerdict, DeliveryInfo, OnBatch } from './handler-delivery.js';
export type { HandleOptions } from './handler-options.js';
export type { Attached } from './handler-link.js';
export type { Positions, RingInfo } from './positions.js';
export { daemonFor } from './daemon-list.js';
export type { ConnectOptions, DaemonAddress } from './options.js';
export type { OutputOptions, OutputReceipt, Sample, WhenFull } from './output-call.js';
export type { ProducerEvents, Uncertain } from './producer-events.js';
export type { Reservation } from './reservations.js';
export type { Wakeup } from './watcher.js';
export type { WaitOptions } from './waiting.js';
export type { Welcome } from './welcome.js';
export type { ReconnectOptions } from './reconnect.js';
export type { Clock } from './clock.js';
export type { OpenWebSocket, SocketEnd, SocketEvents, SocketLike, SocketLimits } from './socket.js';
export { RingbufError, type RingbufErrorCode, type RingbufErrorDetails } from './errors.js';
export { SampleHash } from '../wire/sample-hash.js';
