// @ts-check
/**
 * A sample of the demo: one line of text, `SOURCE SEQUENCE UNIX_MS WHAT name=value name=value …`. The ring takes any bytes;
 * text is what one can read in the NDJSON. The first two words are what the check at the end counts.
 *
 * @typedef {{ source: string, sequence: number, atMs: number }} SampleHead
 */

/** Numbers the samples of one source: 1, 2, 3 … without gaps. */
export class SampleNumberer {
  #sequence = 0;
  #source;

  /** @param {string} source */
  constructor(source) {
    this.#source = source;
  }

  /** @param {import('./host-readings.js').Reading} reading */
  next({ what, values }) {
    const pairs = Object.entries(values).map(([name, value]) => `${name}=${value}`);
    return [this.#source, ++this.#sequence, Date.now(), what, ...pairs].join(' ');
  }
}

/**
 * @param {string} text a whole sample or its beginning
 * @returns {SampleHead | undefined} undefined if it is not one of ours
 */
export function parseHead(text) {
  const [, source, sequence, atMs] = /^([a-z]+) (\d+) (\d+) \S/.exec(text) ?? [];
  if (source === undefined) return undefined;
  return { source, sequence: Number(sequence), atMs: Number(atMs) };
}
