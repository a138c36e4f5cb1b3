/** Turns upgrade requests into sessions of producers and of attached handlers: route, access, limits, subprotocol, then a session over ws. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import { CloseCode, FRAME_HEADER_SIZE, HANDLER_SUBPROTOCOL, Subprotocol } from '../wire/index.js';
import { requireScope, type AccessControl } from './access-control.js';
import type { Clock } from './clock.js';
import type { ConnectionLimits } from './connection-limits.js';
import { RingbufdError } from './errors.js';
import type { Events } from './events.js';
import { FrameSession } from './frame-session.js';
import { ATTACH_PATH, checkAttachment } from './handler-attachment.js';
import { HandlerSession } from './handler-session.js';
import type { Heartbeat } from './heartbeat.js';
import type { HostedMap } from './hosted-map.js';
import type { MapRegistry } from './map-registry.js';
import type { MessageLimits } from './message-reader.js';
import { isValidName, NAME_RULE } from './names.js';
import { PlainSession } from './plain-session.js';
import { answerHttp } from './http-answer.js';
import type { ProducerSession, SessionOptions } from './producer-session.js';
import { checkProduction, selectSubprotocol } from './producer-admission.js';
import { ProducerState } from './producer-states.js';
import { ProducerSocket, ProducerWebSocket } from './producer-websocket.js';
import type { SocketEvents } from './session-socket.js';
import type { Action, Identity } from './tokens.js';

/** Fragments of one message. Low on purpose: each costs memory of its own. */
const MAX_FRAGMENTS = 64;
/**
 * Bounds on the pieces in which TCP may deliver one message, for the same reason: as many as a frame of the largest size
 * takes over a path with the smallest usual segments, and some more.
 */
const SMALLEST_SEGMENT_BYTES = 512;
const SPARE_CHUNKS = 1024;
/** Time for the peer to answer a close, in ms. */
const CLOSE_TIMEOUT_MS = 5000;

const PRODUCE_PATH = /^\/v1\/maps\/([^/]+)\/produce$/;

export interface GatewaySettings {
  maxFrameBytes: number;
  maxQueuedBytes: number;
  trustProxy: boolean;
}

export interface GatewayDeps {
  registry: MapRegistry;
  access: AccessControl;
  limits: ConnectionLimits;
  heartbeat: Heartbeat;
  events: Events;
  clock: Clock;
  logger: Logger;
}

/** What a connection becomes, once it is there. */
interface Session extends SocketEvents {
  /** How operators name it. */
  readonly label: string;
}

/** An upgrade request that has passed every check. */
interface Admission {
  map: HostedMap;
  /** @throws RingbufdError for what can only be found out now */
  createSession: (socket: ProducerSocket) => Session;
  leave: () => void;
}

/** What an upgrade request asks for. */
interface Route {
  map: string;
  /** The handler to attach to; absent: produce. */
  handler?: string;
  action: Action;
}

/** Close codes for a browser, which does not get to see the HTTP status of a refused upgrade. */
const closeCodeOfStatus = new Map<number, number>([
  [401, CloseCode.UNAUTHENTICATED],
  [403, CloseCode.FORBIDDEN],
  [404, CloseCode.NO_MAP],
  [409, CloseCode.DIRECT_TAKEN],
  [429, CloseCode.TOO_MANY],
  [503, CloseCode.DRAINING],
  [507, CloseCode.TOO_MANY],
]);

export class WsGateway {
  readonly #settings: GatewaySettings;
  readonly #deps: GatewayDeps;
  readonly #server: WebSocketServer;
  readonly #messageLimits: MessageLimits;
  #anonymous = 0;
  #draining = false;

  constructor(settings: GatewaySettings, deps: GatewayDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#messageLimits = {
      maxMessageBytes: settings.maxFrameBytes + FRAME_HEADER_SIZE,
      maxPieces: SPARE_CHUNKS + Math.ceil(settings.maxFrameBytes / SMALLEST_SEGMENT_BYTES),
    };
    // A variable, since the published types of ws lag behind its options.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // What ws reads is told at once, in order with what is read beside it.
      allowSynchronousEvents: true,
      maxPayload: this.#messageLimits.maxMessageBytes,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: this.#messageLimits.maxPieces,
      closeTimeout: CLOSE_TIMEOUT_MS,
      WebSocket: ProducerWebSocket,
      handleProtocols: protocolFor,
    };
    this.#server = new WebSocketServer(options);
    // With a listener, ws leaves the answer to it: a malformed handshake gets a problem like every other refusal.
    this.#server.on('wsClientError', (error, socket) => {
      const refusal = new RingbufdError('BAD_HANDSHAKE', error.message);
      this.#countRefusal(refusal);
      answerHttp(socket, refusal);
    });
  }

  /** From now on every upgrade is refused: the daemon shuts down. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * Answers an upgrade request, always: with a session, with an HTTP error, or, when a browser asks, with a WebSocket
   * that is closed at once with the reason.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignoreSocketError);
    let admission: Admission;
    try {
      admission = this.#admit(request);
    } catch (error) {
      this.#refuse(request, socket, head, asRefusal(error));
      return;
    }
    let upgraded = false;
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      upgraded = true;
      socket.removeListener('error', ignoreSocketError);
      this.#open(ws as ProducerWebSocket, socket as Socket, admission);
    });
    // A malformed handshake was answered already: there is no connection that could give its place back.
    if (!upgraded) admission.leave();
  }

  /** @throws RingbufdError for every reason not to let the client in */
  #admit(request: IncomingMessage): Admission {
    const { access, registry, limits } = this.#deps;
    const url = parseTarget(request.url ?? '/');
    const route = routeOf(url.pathname);
    access.checkSource(request.headers);
    const identity = access.identify(request.headers);
    if (this.#draining) throw new RingbufdError('SHUTTING_DOWN');
    if (!isValidName(route.map)) throw new RingbufdError('BAD_NAME', `map name: ${NAME_RULE}`);
    requireScope(identity, route.action, route.map);
    const map = registry.get(route.map);
    const createSession =
      route.handler === undefined
        ? this.#admitProducer(request, url, map, identity)
        : this.#admitHandler(request, url, map, route.handler);
    return { map, createSession, leave: limits.enter(this.#remoteAddress(request)) };
  }

  /** @throws RingbufdError for every reason not to let a producer in */
  #admitProducer(
    request: IncomingMessage,
    url: URL,
    map: HostedMap,
    identity: Identity,
  ): Admission['createSession'] {
    const protocols = request.headers['sec-websocket-protocol'];
    const { producer, ...asked } = checkProduction(map, url.searchParams, protocols);
    const options = { ...asked, remoteAddress: this.#remoteAddress(request) };
    return (socket) => this.#createProducer(socket, map, identity, producer, options);
  }

  /** @throws RingbufdError for every reason not to let a handler in */
  #admitHandler(
    request: IncomingMessage,
    url: URL,
    map: HostedMap,
    handlerName: string,
  ): Admission['createSession'] {
    const protocols = request.headers['sec-websocket-protocol'];
    const { name, handler, creditBytes, client } = checkAttachment(
      map,
      handlerName,
      url.searchParams,
      protocols,
    );
    return (socket) =>
      new HandlerSession(socket, handler, {
        map: map.name,
        handler: name,
        incarnation: map.incarnation,
        label: client ?? `~${++this.#anonymous}`,
        creditBytes,
        maxFrameBytes: this.#settings.maxFrameBytes,
        maxQueuedBytes: this.#settings.maxQueuedBytes,
        onSlow: () => this.#deps.events.slowClient(map.name),
      });
  }

  #open(ws: ProducerWebSocket, tcp: Socket, admission: Admission): void {
    const { heartbeat, logger } = this.#deps;
    // First of all: ws reports what a peer does wrong as an error, also on a connection that is being refused.
    ws.on('error', (error) => logger.debug({ err: error, map: admission.map.name }, 'a connection failed'));
    const socket = new ProducerSocket(ws, tcp);
    let session: Session;
    try {
      session = admission.createSession(socket);
    } catch (error) {
      admission.leave();
      const refusal = asRefusal(error);
      this.#countRefusal(refusal);
      ws.answer(closeCodeOf(refusal), closeReason(refusal));
      return;
    }
    ws.events = session;
    const take = (data: Uint8Array, isBinary: boolean): void => {
      socket.awaitingPong = false;
      session.message(data, isBinary);
    };
    ws.on('message', take);
    const isRead = ws.readMessages(tcp, this.#messageLimits, (data) => take(data, true));
    if (!isRead) logger.warn({ map: admission.map.name }, 'this version of ws cannot be read beside: slower');
    ws.on('pong', () => {
      socket.awaitingPong = false;
    });
    tcp.on('drain', () => session.drained());
    heartbeat.add(socket);
    ws.on('close', (code) => {
      heartbeat.delete(socket);
      admission.leave();
      session.closed();
      logger.debug({ map: admission.map.name, client: session.label, code }, 'client disconnected');
    });
    logger.debug({ map: admission.map.name, client: session.label }, 'client connected');
  }

  /** Fences a connection with the same producer id first: what WELCOME says must be final. */
  #createProducer(
    socket: ProducerSocket,
    map: HostedMap,
    identity: Identity,
    producer: string | undefined,
    given: Pick<SessionOptions, 'whenFull' | 'remoteAddress'> & { subprotocol: Subprotocol },
  ): ProducerSession {
    const claimed =
      producer === undefined
        ? { state: new ProducerState(null, identity.name), resumed: false }
        : map.states.claim(producer, identity.name);
    claimed.state.connection?.replace();
    const options: SessionOptions = {
      map,
      state: claimed.state,
      resumed: claimed.resumed,
      ...given,
      label: producer ?? `~${++this.#anonymous}`,
      connectedAtMs: this.#deps.clock.wallMs(),
      maxFrameBytes: this.#settings.maxFrameBytes,
      maxQueuedBytes: this.#settings.maxQueuedBytes,
      onSlow: () => this.#deps.events.slowClient(map.name),
    };
    if (given.subprotocol === Subprotocol.PLAIN) return new PlainSession(socket, options);
    return new FrameSession(socket, options, given.subprotocol === Subprotocol.JSON ? 'json' : 'binary');
  }

  #remoteAddress(request: IncomingMessage): string {
    const forwarded = this.#settings.trustProxy ? request.headers['x-forwarded-for'] : undefined;
    const first = (Array.isArray(forwarded) ? forwarded[0] : forwarded)?.split(',')[0]?.trim();
    return first || request.socket.remoteAddress || 'unknown';
  }

  #refuse(request: IncomingMessage, socket: Duplex, head: Buffer, refusal: RingbufdError): void {
    this.#countRefusal(refusal);
    if (request.headers.origin === undefined) {
      answerHttp(socket, refusal);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', ignoreSocketError);
      (ws as ProducerWebSocket).answer(closeCodeOf(refusal), closeReason(refusal));
    });
  }

  #countRefusal(refusal: RingbufdError): void {
    this.#deps.events.refused('websocket', refusal.key, refusal.errno);
  }
}

/** @throws RingbufdError NO_ROUTE */
function routeOf(path: string): Route {
  const produce = PRODUCE_PATH.exec(path);
  if (produce !== null) return { map: decodeName(produce[1]!), action: 'produce' };
  const attach = ATTACH_PATH.exec(path);
  if (attach !== null)
    return { map: decodeName(attach[1]!), handler: decodeName(attach[2]!), action: 'drain' };
  throw new RingbufdError('NO_ROUTE', `no WebSocket at ${path}`);
}

/** The subprotocol to select among those offered, by the path that is asked for: a refused browser needs one, too. */
function protocolFor(offered: ReadonlySet<string>, request: IncomingMessage): string | false {
  const path = (request.url ?? '/').split('?', 1)[0]!;
  if (ATTACH_PATH.test(path)) return offered.has(HANDLER_SUBPROTOCOL) && HANDLER_SUBPROTOCOL;
  return selectSubprotocol([...offered]) ?? false;
}

/** @throws RingbufdError NO_ROUTE for a request target that is no URL */
function parseTarget(target: string): URL {
  // Joined and not resolved: a target that begins with two slashes is a path here too, and no host.
  const text = `http://localhost${target}`;
  if (!target.startsWith('/') || !URL.canParse(text))
    throw new RingbufdError('NO_ROUTE', 'the request target is not a path');
  return new URL(text);
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function asRefusal(error: unknown): RingbufdError {
  if (error instanceof RingbufdError) return error;
  return new RingbufdError('INTERNAL', undefined, { cause: error });
}

function closeCodeOf(refusal: RingbufdError): number {
  return closeCodeOfStatus.get(refusal.status) ?? CloseCode.PROTOCOL_ERROR;
}

function closeReason(refusal: RingbufdError): string {
  return `${refusal.errno}: ${refusal.title}`;
}

/** A peer that is gone before the answer is nobody's problem. */
function ignoreSocketError(): void {
  // The socket closes itself.
}
