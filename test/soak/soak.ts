/**
 * Eleven maps, each with a handler of its own kind (plan.ts), and one for their dead letters; producers that never stop, and faults by chance: code that loops, traps, exits and
 * leaks, peers that hang, lie and die, handlers that are replaced, removed and tried out meanwhile. Ends with the books.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, handle, RingbufError, type RingbufProducer } from '../../src/client/index.js';
import { Random } from '../conformance/recorder/random.js';
import { DaemonProcess } from '../support/daemon-process.js';
import { Op } from '../../src/wire/index.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { booksOf, type MapBooks } from './books.js';
import { FLAKY_MODULE } from './flaky-handlers.js';
import { attachHostileClient, note, startWebhookPeer, type Faults } from './hostile-peers.js';
import { DEAD_LETTER_MAP, plannedMaps, plannedShadows, type PlannedMap } from './plan.js';

export interface SoakOptions {
  seconds: number;
  seed: number;
  /** Called about once a second. */
  progress: (line: string) => void;
}

export interface SoakResult {
  books: MapBooks[];
  faults: Faults;
  /** Whatever does not add up; empty when all does. */
  wrong: string[];
}

/** Time that everything has to come to rest, in ms. */
const REST_MS = 60_000;

export async function runSoak({ seconds, seed, progress }: SoakOptions): Promise<SoakResult> {
  const faults: Faults = new Map();
  const daemon = await DaemonProcess.start();
  const soak = new Soak(daemon, seed, faults);
  try {
    await soak.begin();
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      progress(await soak.line(Math.max(0, Math.round((end - performance.now()) / 1000))));
      if (!daemon.alive)
        return { books: [], faults, wrong: [`the daemon ended: ${daemon.log.slice(-4000)}`] };
    }
    await soak.end();
    const books: MapBooks[] = [];
    for (const planned of soak.maps) books.push(await booksOf(daemon.rest, planned));
    const wrong = [...soak.complaints, ...soak.compareFiles(books), ...compareDeadLetters(books)];
    for (const each of books) wrong.push(...each.wrong.map((text) => `${each.map}: ${text}`));
    const code = await daemon.stop();
    if (code !== 0) wrong.push(`the daemon exited with ${code}`);
    return { books, faults, wrong };
  } finally {
    await soak.release();
    await daemon.destroy();
  }
}

class Soak {
  maps: PlannedMap[] = [];
  readonly complaints: string[] = [];
  readonly #daemon: DaemonProcess;
  readonly #random: Random;
  readonly #seed: number;
  readonly #faults: Faults;
  readonly #stopped = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  readonly #producers: RingbufProducer[] = [];
  readonly #cleanups: (() => unknown)[] = [];
  #calm = (): void => undefined;

  constructor(daemon: DaemonProcess, seed: number, faults: Faults) {
    this.#daemon = daemon;
    this.#seed = seed;
    this.#random = new Random(seed, 0);
    this.#faults = faults;
  }

  async begin(): Promise<void> {
    const { url, rest, handlersDir } = this.#daemon;
    writeFileSync(join(handlersDir, 'flaky.mjs'), FLAKY_MODULE);
    const webhook = await startWebhookPeer(new Random(this.#seed, 1), this.#faults);
    this.#cleanups.push(() => webhook.stop());
    this.#calm = () => webhook.calm();
    this.maps = plannedMaps(webhook.url);
    for (const { name, maxEntries } of this.maps)
      await rest.expect(201, 'PUT', `/v1/maps/${name}`, { max_entries: maxEntries });
    for (const { name, handler } of this.maps)
      await rest.expect(201, 'PUT', `/v1/maps/${name}/handlers/main`, handler);
    const worker = await handle('remote', 'main', () => Promise.resolve(0 as const), {
      url,
      reconnect: { minDelayMs: 10, maxDelayMs: 100 },
    });
    this.#cleanups.push(() => worker.close());
    for (const [index, { name, pauseMs }] of this.maps.entries())
      if (pauseMs !== undefined)
        this.#tasks.push(this.#produce(name, pauseMs, new Random(this.#seed, 10 + index)));
    this.#tasks.push(this.#operate());
  }

  /** Ends what feeds and disturbs the maps, and waits until nothing moves any more. */
  async end(): Promise<void> {
    const { rest } = this.#daemon;
    this.#stopped.abort();
    this.#calm();
    await Promise.all(this.#tasks);
    for (const producer of this.#producers) await producer.close().catch(() => undefined);
    for (const { name } of this.maps) {
      await until(
        async () => (await rest.showMap(name)).producers === 0,
        `producers of ${name} are gone`,
        REST_MS,
      );
      for (const { name: handler } of await this.#handlersOf(name))
        await until(
          async () => (await rest.call('DELETE', `/v1/maps/${name}/handlers/${handler}`)).status !== 409,
          `handler ${handler} of ${name} is gone`,
          REST_MS,
        );
    }
  }

  async release(): Promise<void> {
    this.#stopped.abort();
    for (const cleanup of this.#cleanups) await cleanup();
  }

  /** What has happened so far, in one line. */
  async line(secondsLeft: number): Promise<string> {
    const { maps } = (await this.#daemon.rest.expect(200, 'GET', '/v1/maps')) as {
      maps: { counters: Record<string, number>; used_bytes: string }[];
    };
    const sum = (key: string): number =>
      maps.reduce((total, { counters }) => total + (counters[key] ?? 0), 0);
    const faults = [...this.#faults.values()].reduce((total, count) => total + count, 0);
    const errors = maps.reduce(
      (total, { counters }) =>
        total +
        Object.values(counters.drain_errors as unknown as Record<string, number>).reduce((a, b) => a + b, 0),
      0,
    );
    return (
      `soak: ${secondsLeft} s left, ${sum('accepted_samples')} accepted, ${sum('drained_samples')} drained, ` +
      `${sum('dead_lettered_samples')} dead-lettered, ` +
      `${sum('buffered_samples')} buffered, ${errors} drains failed, ${faults} faults and changes`
    );
  }

  /** What exclusive file handlers have written is what was drained, each sample once. */
  compareFiles(books: readonly MapBooks[]): string[] {
    return this.maps
      .filter(({ exclusive }) => exclusive)
      .flatMap(({ name }) => {
        const text = readFileSync(join(this.#daemon.folder, 'data', 'out', name, 'out'), 'utf8');
        const lines = text.split('\n').slice(0, -1);
        const positions = new Set(lines.map((line) => (JSON.parse(line) as { pos: string }).pos));
        const { drained } = books.find(({ map }) => map === name)!;
        return lines.length === drained && positions.size === drained
          ? []
          : [`${name}: ${drained} drained, ${lines.length} lines, ${positions.size} of them different`];
      });
  }

  async #produce(map: string, pauseMs: number, random: Random): Promise<void> {
    const { url } = this.#daemon;
    const producer = await connect({ url, map, producer: 'soak', fallbackQueryMs: 100 });
    this.#producers.push(producer);
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const samples = Array.from({ length: random.int(1, 40) }, () => Buffer.alloc(random.int(0, 120), 97));
      try {
        await producer.output(samples, { signal });
      } catch (error) {
        if (!signal.aborted) this.complaints.push(`${map}: an output failed: ${String(error)}`);
        if (!(error instanceof RingbufError)) return;
      }
      await pause(random.int(0, 2 * pauseMs));
    }
  }

  /** An operator with shaky hands. */
  async #operate(): Promise<void> {
    const random = this.#random;
    const acts = {
      swap: () => this.#swap(random.pick(this.maps)),
      remove: () => this.#remove(random.pick(this.maps)),
      shadow: () => this.#shadow(random.pick(this.maps)),
      drain: () => this.#drainByHand(random.pick(this.maps.filter(({ exclusive }) => !exclusive))),
      hostile: () => this.#attachHostile(),
      abandon: () => this.#abandon(random.pick(this.maps.filter(({ pauseMs }) => pauseMs !== undefined))),
      replay: () => this.#replay(),
      enable: () => this.#enable(random.pick(this.maps)),
      look: () => this.#look(),
    };
    const weights = {
      swap: 3,
      remove: 1,
      shadow: 3,
      drain: 6,
      hostile: 3,
      abandon: 3,
      replay: 1,
      enable: 4,
      look: 2,
    };
    while (!this.#stopped.signal.aborted) {
      const act = random.weighted(weights);
      try {
        await acts[act]();
      } catch (error) {
        this.complaints.push(`${act}: ${String(error)}`);
      }
      await pause(random.int(0, 60));
    }
  }

  async #swap({ name, handler }: PlannedMap): Promise<void> {
    note(this.#faults, 'a handler is replaced');
    await this.#put(name, 'main', handler);
  }

  async #remove({ name, handler }: PlannedMap): Promise<void> {
    note(this.#faults, 'a handler is removed');
    await this.#expectOneOf([204, 404, 409], 'DELETE', `/v1/maps/${name}/handlers/main`);
    await this.#put(name, 'main', handler);
  }

  async #shadow({ name }: PlannedMap): Promise<void> {
    note(this.#faults, 'a shadow comes or goes');
    if (this.#random.chance(0.4))
      await this.#expectOneOf([204, 404, 409], 'DELETE', `/v1/maps/${name}/handlers/shadow`);
    else await this.#put(name, 'shadow', this.#random.pick(plannedShadows()));
  }

  /** Off and on again, which forgives a fault. */
  async #enable({ name }: PlannedMap): Promise<void> {
    note(this.#faults, 'a handler is disabled and enabled');
    await this.#expectOneOf([200, 404], 'POST', `/v1/maps/${name}/handlers/main/disable`);
    await pause(this.#random.int(0, 20));
    await this.#expectOneOf([200, 404], 'POST', `/v1/maps/${name}/handlers/main/enable`);
  }

  async #drainByHand({ name }: PlannedMap): Promise<void> {
    await this.#put(name, 'other', { kind: 'count' });
    // Another drain may be under way; a malformed one there never is.
    await this.#expectOneOf([200, 409], 'POST', `/v1/maps/${name}/drain`, { handler: 'other' });
  }

  async #attachHostile(): Promise<void> {
    const { handlers } = { handlers: await this.#handlersOf('remote') };
    if (handlers.some(({ name, kind }) => name === 'main' && kind === 'remote'))
      await attachHostileClient(this.#daemon.url, 'remote', 'main', {
        random: this.#random,
        faults: this.#faults,
      });
  }

  /** A producer that dies with a reservation open and an output on its way. */
  async #abandon({ name }: PlannedMap): Promise<void> {
    note(this.#faults, 'a producer dies');
    const client = await RawClient.welcomed(
      `${this.#daemon.url.replace('http', 'ws')}/v1/maps/${name}/produce`,
    );
    client.send({ op: Op.RESERVE, seq: 1n, size: this.#random.int(0, 64) });
    client.output(1, ['left behind', 'as well']);
    await pause(this.#random.int(0, 20));
    client.terminate();
  }

  /** Sends dead letters back to where they came from, as far as there is room. */
  async #replay(): Promise<void> {
    note(this.#faults, 'dead letters are replayed');
    await this.#expectOneOf([200, 409, 429], 'POST', `/v1/maps/${DEAD_LETTER_MAP}/replay`, { limit: 50 });
  }

  async #look(): Promise<void> {
    for (const path of ['/metrics', '/v1/maps', '/livez']) await this.#expectOneOf([200], 'GET', path);
  }

  async #put(map: string, handler: string, body: unknown): Promise<void> {
    await this.#expectOneOf([200, 201, 409], 'PUT', `/v1/maps/${map}/handlers/${handler}`, body);
  }

  async #expectOneOf(
    statuses: readonly number[],
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<void> {
    const answer = await this.#daemon.rest.call(method, path, body);
    if (!statuses.includes(answer.status))
      throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`);
  }

  async #handlersOf(map: string): Promise<{ name: string; kind: string }[]> {
    const { handlers } = await this.#daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers`);
    return handlers as { name: string; kind: string }[];
  }
}

/** What other maps gave up is what the map of dead letters took. */
function compareDeadLetters(books: readonly MapBooks[]): string[] {
  const givenUp = books.reduce((sum, { deadLettered }) => sum + deadLettered, 0);
  const { accepted } = books.find(({ map }) => map === DEAD_LETTER_MAP)!;
  return givenUp === accepted ? [] : [`${givenUp} samples were given up, ${accepted} dead letters taken`];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
