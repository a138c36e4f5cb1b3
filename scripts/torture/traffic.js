// @ts-check
import { connect } from '../../dist/client/index.js';

const BATCHES = 8;
const PAUSE_MS = 2;
const SAMPLES_MAX = 20;

const CONNECT_MS = 60_000;

/**
 * A daemon that is overloaded refuses connections for a moment.
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
async function patiently(attempt) {
  const deadline = performance.now() + CONNECT_MS;
  for (;;)
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

/** Producers that write into one map as long as they are let, over every kill and cut. */
export class Traffic {
  /** Samples acknowledged, by producer; each numbers its own. @type {Map<string, number>} */
  acknowledged = new Map();
  /** @type {{ id: string, producer: Awaited<ReturnType<typeof connect>> }[]} */
  #producers = [];
  #isOver = false;

  /**
   * An SDK producer reconnects once it was connected; a first connection that fails is its caller's.
   * @param {string} url
   * @param {string} map
   * @param {readonly string[]} ids
   */
  async connect(url, map, ids) {
    const reconnect = { minDelayMs: 10, maxDelayMs: 100 };
    for (const id of ids) {
      const producer = await patiently(() =>
        connect({ url, map, producer: id, reconnect, maxUnackedBytes: 16_384 }),
      );
      this.#producers.push({ id, producer });
      this.acknowledged.set(id, 0);
    }
  }

  /** Resolves once `end` was called and everything is acknowledged. @param {number} settleMs */
  async run(settleMs) {
    await Promise.all(this.#producers.map(({ id, producer }) => this.#produce(id, producer, settleMs)));
  }

  end() {
    this.#isOver = true;
  }

  /**
   * Sends these samples as the first producer. @param {(number: number) => string} sample
   * @param {number} count
   */
  async send(sample, count) {
    const first = this.#producers[0];
    if (first === undefined) throw new Error('not connected');
    const from = this.acknowledged.get(first.id) ?? 0;
    await first.producer.output(
      Array.from({ length: count }, (_, index) => `${first.id} ${from + index} ${sample(from + index)}`),
    );
    this.acknowledged.set(first.id, from + count);
  }

  /**
   * @param {string} id
   * @param {Awaited<ReturnType<typeof connect>>} producer
   * @param {number} settleMs
   */
  async #produce(id, producer, settleMs) {
    let next = 0;
    while (!this.#isOver) {
      const batches = [];
      for (let batch = 0; batch < BATCHES; batch++) {
        const samples = Array.from(
          { length: 1 + Math.floor(Math.random() * SAMPLES_MAX) },
          () => `${id} ${next++}`,
        );
        batches.push(producer.output(samples));
      }
      await Promise.all(batches);
      this.acknowledged.set(id, next);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    await this.#close(id, producer, settleMs);
  }

  /** Of traffic that only `send` made. @param {number} settleMs */
  async close(settleMs) {
    await Promise.all(this.#producers.map(({ id, producer }) => this.#close(id, producer, settleMs)));
  }

  /**
   * @param {string} id
   * @param {Awaited<ReturnType<typeof connect>>} producer
   * @param {number} settleMs
   */
  async #close(id, producer, settleMs) {
    const report = await producer.close({ timeoutMs: settleMs });
    if (!report.flushed) throw new Error(`${id}: ${report.failed} outputs were not acknowledged`);
  }
}
