/** Turns upgrade requests into producer sessions: route, access, limits, subprotocol, then a session over ws. */
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import { CloseCode, FRAME_HEADER_SIZE, Subprotocol } from '../wire/index.js';
import { requireScope, type AccessControl } from './access-control.js';
import type { Clock } from './clock.js';
import type { ConnectionLimits } from './connection-limits.js';
import { RingbufdError } from './errors.js';
import type { Events } from './events.js';
import { FrameSession } from './frame-session.js';
import type { Heartbeat } from './heartbeat.js';
import type { HostedMap } from './hosted-map.js';
import type { MapRegistry } from './map-registry.js';
import { isValidName, NAME_RULE } from './names.js';
import { PlainSession } from './plain-session.js';
import { problemOf } from './problem.js';
import type { ProducerSession, SessionOptions, WhenFull } from './producer-session.js';
import { ProducerState } from './producer-states.js';
import { ProducerSocket, ProducerWebSocket } from './producer-websocket.js';
import type { Identity } from './tokens.js';

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

/** An upgrade request that has passed every check. */
interface Admission {
  map: HostedMap;
  identity: Identity;
  producer: string | undefined;
  whenFull: WhenFull;
  subprotocol: Subprotocol;
  leave: () => void;
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
  #anonymous = 0;
  #draining = false;

  constructor(settings: GatewaySettings, deps: GatewayDeps) {
    this.#settings = settings;
    this.#deps = deps;
    // A variable, since the published types of ws lag behind its options.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: settings.maxFrameBytes + FRAME_HEADER_SIZE,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: SPARE_CHUNKS + Math.ceil(settings.maxFrameBytes / SMALLEST_SEGMENT_BYTES),
      closeTimeout: CLOSE_TIMEOUT_MS,
      WebSocket: ProducerWebSocket,
      handleProtocols: (offered: Set<string>) => selectSubprotocol([...offered]) ?? false,
    };
    this.#server = new WebSocketServer(options);
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
      this.#open(request, ws as ProducerWebSocket, socket as Socket, admission);
    });
    // ws has answered a malformed handshake by itself: there is no connection that could give its place back.
    if (!upgraded) admission.leave();
  }

  /** @throws RingbufdError for every reason not to let the client in */
  #admit(request: IncomingMessage): Admission {
    const { access, registry, limits } = this.#deps;
    const url = parseTarget(request.url ?? '/');
    const match = PRODUCE_PATH.exec(url.pathname);
    if (match === null) throw new RingbufdError('NO_ROUTE', `no WebSocket at ${url.pathname}`);
    access.checkSource(request.headers);
    const identity = access.identify(request.headers);
    if (this.#draining) throw new RingbufdError('SHUTTING_DOWN');
    const name = decodeName(match[1]!);
    if (!isValidName(name)) throw new RingbufdError('BAD_NAME', `map name: ${NAME_RULE}`);
    requireScope(identity, 'produce', name);
    const map = registry.get(name);
    const { producer, whenFull } = parseQuery(url.searchParams);
    const subprotocol = requireSubprotocol(request.headers['sec-websocket-protocol']);
    if (map.attributes.mode === 'direct' && subprotocol === Subprotocol.PLAIN)
      throw new RingbufdError(
        'NOT_ALLOWED_HERE',
        'plain mode on a direct map: use ringbuf.v1 or ringbuf.v1.json',
      );
    checkDirectOwner(map, producer);
    const leave = limits.enter(this.#remoteAddress(request));
    return { map, identity, producer, whenFull, subprotocol, leave };
  }

  #open(request: IncomingMessage, ws: ProducerWebSocket, tcp: Socket, admission: Admission): void {
    const { heartbeat, logger } = this.#deps;
    // First of all: ws reports what a peer does wrong as an error, also on a connection that is being refused.
    ws.on('error', (error) =>
      logger.debug({ err: error, map: admission.map.name }, 'a producer connection failed'),
    );
    const socket = new ProducerSocket(ws, tcp);
    let session: ProducerSession;
    try {
      session = this.#createSession(request, socket, admission);
    } catch (error) {
      admission.leave();
      const refusal = asRefusal(error);
      this.#countRefusal(refusal);
      ws.answer(closeCodeOf(refusal), closeReason(refusal));
      return;
    }
    ws.events = session;
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      socket.awaitingPong = false;
      session.message(data, isBinary);
    });
    ws.on('pong', () => {
      socket.awaitingPong = false;
    });
    tcp.on('drain', () => session.drained());
    heartbeat.add(socket);
    ws.on('close', (code) => {
      heartbeat.delete(socket);
      admission.leave();
      session.closed();
      logger.debug({ map: admission.map.name, producer: session.label, code }, 'producer disconnected');
    });
    logger.debug({ map: admission.map.name, producer: session.label }, 'producer connected');
  }

  /** Fences a connection with the same producer id first: what WELCOME says must be final. */
  #createSession(request: IncomingMessage, socket: ProducerSocket, admission: Admission): ProducerSession {
    const { map, identity, producer, whenFull, subprotocol } = admission;
    const claimed =
      producer === undefined
        ? { state: new ProducerState(null, identity.name), resumed: false }
        : map.states.claim(producer, identity.name);
    claimed.state.connection?.replace();
    const options: SessionOptions = {
      map,
      state: claimed.state,
      resumed: claimed.resumed,
      whenFull,
      subprotocol,
      remoteAddress: this.#remoteAddress(request),
      label: producer ?? `~${++this.#anonymous}`,
      connectedAtMs: this.#deps.clock.wallMs(),
      maxFrameBytes: this.#settings.maxFrameBytes,
      maxQueuedBytes: this.#settings.maxQueuedBytes,
      onSlow: () => this.#deps.events.slowClient(map.name),
    };
    if (subprotocol === Subprotocol.PLAIN) return new PlainSession(socket, options);
    return new FrameSession(socket, options, subprotocol === Subprotocol.JSON ? 'json' : 'binary');
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

/** The first subprotocol offered that the daemon speaks. */
function selectSubprotocol(offered: readonly string[]): Subprotocol | undefined {
  const spoken = new Set<string>(Object.values(Subprotocol));
  return offered.find((name): name is Subprotocol => spoken.has(name));
}

/** @throws RingbufdError BAD_REQUEST when the client offers only what the daemon does not speak */
function requireSubprotocol(header: string | undefined): Subprotocol {
  const offered = (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('bearer.'));
  if (offered.length === 0) return Subprotocol.PLAIN;
  const selected = selectSubprotocol(offered);
  if (selected !== undefined) return selected;
  throw new RingbufdError(
    'BAD_REQUEST',
    `none of the offered subprotocols (${offered.join(', ')}) is one of ${Object.values(Subprotocol).join(', ')}`,
  );
}

/** @throws RingbufdError BAD_REQUEST, BAD_NAME */
function parseQuery(query: URLSearchParams): { producer: string | undefined; whenFull: WhenFull } {
  for (const key of query.keys())
    if (key !== 'producer' && key !== 'on_full')
      throw new RingbufdError(
        'BAD_REQUEST',
        `unknown query parameter "${key}"; there are producer and on_full`,
      );
  const producer = query.get('producer') ?? undefined;
  if (producer !== undefined && !isValidName(producer))
    throw new RingbufdError('BAD_NAME', `producer: ${NAME_RULE}`);
  const whenFull = query.get('on_full') ?? 'reject';
  if (whenFull !== 'reject' && whenFull !== 'block')
    throw new RingbufdError('BAD_REQUEST', `on_full is "reject" or "block", not "${whenFull}"`);
  return { producer, whenFull };
}

/** @throws RingbufdError DIRECT_TAKEN when another producer is connected to this direct map */
function checkDirectOwner(map: HostedMap, producer: string | undefined): void {
  if (map.attributes.mode !== 'direct') return;
  for (const connection of map.connections)
    if (producer === undefined || connection.state.id !== producer)
      throw new RingbufdError('DIRECT_TAKEN', `map "${map.name}" has a producer already`);
}

/** @throws RingbufdError NO_ROUTE for a request target that is no URL */
function parseTarget(target: string): URL {
  const base = 'http://localhost';
  if (!URL.canParse(target, base)) throw new RingbufdError('NO_ROUTE', 'the request target is not a URL');
  return new URL(target, base);
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

function answerHttp(socket: Duplex, refusal: RingbufdError): void {
  const body = JSON.stringify(problemOf(refusal));
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(refusal.status === 401 ? ['WWW-Authenticate: Bearer realm="ringbufd"'] : []),
    ...(refusal.retryAfterMs > 0 ? [`Retry-After: ${Math.ceil(refusal.retryAfterMs / 1000)}`] : []),
  ];
  // The HTTP server has let go of this socket: a peer that never closes its side would keep it open.
  socket.once('finish', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** A peer that is gone before the answer is nobody's problem. */
function ignoreSocketError(): void {
  // The socket closes itself.
}
