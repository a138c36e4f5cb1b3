// @ts-check
/** Reads the NDJSON back from disk, line by line, and looks at every sample's source and sequence number. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { parseHead } from './sample-text.js';

/** Complaints that are spelled out; the rest is counted. */
const MAX_FAULTS = 5;

/** Follows the samples of all sources in the order in which they come out of the ring. */
export class SequenceCheck {
  /** Samples seen, by source. */
  #seen = /** @type {Map<string, number>} */ (new Map());
  /** Sequence number of the newest sample, by source. */
  #last = /** @type {Map<string, number>} */ (new Map());
  #faults = /** @type {string[]} */ ([]);
  #moreFaults = 0;

  /**
   * @param {string} text the sample
   * @param {string} where for the complaint
   */
  sample(text, where) {
    const head = parseHead(text);
    if (head === undefined) return this.#fault(`${where}: not a sample of the demo`);
    const { source, sequence } = head;
    const expected = (this.#last.get(source) ?? 0) + 1;
    if (sequence > expected)
      this.#fault(
        `${where}: ${source} ${expected}${sequence - 1 > expected ? `-${sequence - 1}` : ''} missing`,
      );
    else if (sequence < expected)
      this.#fault(`${where}: ${source} ${sequence} came again or too late, after ${expected - 1}`);
    this.#last.set(source, Math.max(sequence, expected - 1));
    this.#seen.set(source, this.seen(source) + 1);
  }

  /**
   * @param {string} line one line of the file
   * @param {string} where
   */
  line(line, where) {
    try {
      const { sample } = JSON.parse(line);
      this.sample(typeof sample === 'string' ? sample : '', where);
    } catch {
      this.#fault(`${where}: not JSON`);
    }
  }

  /** @param {string} source */
  seen(source) {
    return this.#seen.get(source) ?? 0;
  }

  /** Samples seen, by source. */
  counts() {
    return new Map(this.#seen);
  }

  /** Complaints so far: gaps, duplicates, wrong order, lines that are no samples. */
  get faults() {
    return this.#moreFaults === 0
      ? [...this.#faults]
      : [...this.#faults, `and ${this.#moreFaults} more like these`];
  }

  /** @param {string} text */
  #fault(text) {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(text);
    else this.#moreFaults++;
  }
}

/**
 * The current file and its rotated predecessors, the oldest first.
 * @param {string} path of the current one
 */
export async function rotatedFiles(path) {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = await readdir(folder).catch(() => /** @type {string[]} */ ([]));
  const numbers = names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a);
  const rotated = numbers.map((number) => `${path}.${number}`);
  return names.includes(basename(path)) ? [...rotated, path] : rotated;
}

/**
 * Reads all files and follows their samples.
 * @param {string} path of the current file
 * @param {SequenceCheck} check is told of every line
 * @returns {Promise<{ files: number, lines: number, bytes: number }>} what was really read
 */
export async function readNdjson(path, check) {
  const files = await rotatedFiles(path);
  let lines = 0;
  let bytes = 0;
  for (const file of files) {
    bytes += (await stat(file)).size;
    let number = 0;
    for await (const line of createInterface({
      input: createReadStream(file, 'utf8'),
      crlfDelay: Infinity,
    })) {
      check.line(line, `${basename(file)}:${++number}`);
      lines++;
    }
  }
  return { files: files.length, lines, bytes };
}
