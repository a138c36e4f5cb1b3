// @ts-check
/**
 * What this host says about itself: the kernel's /proc files, or what `node:os` knows where there are none.
 * The files are tiny and never touch a disk, so reading them synchronously blocks nobody.
 */
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';

/**
 * One line's worth of values: `what` names the thing they belong to.
 * @typedef {{ what: string, values: Record<string, number> }} Reading
 */

/** Interfaces, disks and processors that are read at most: some hosts have hundreds of them. */
const MAX_LINES = 16;

const CPU_FIELDS = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'];
const DISK_FIELDS = ['reads', 'reads_merged', 'sectors_read', 'read_ms', 'writes', 'writes_merged'].concat([
  'sectors_written',
  'write_ms',
  'in_flight',
  'io_ms',
]);
/** Columns of net/dev that are sent, by their place behind the interface's name. */
const NET_FIELDS = { rx_bytes: 0, rx_packets: 1, rx_errs: 2, tx_bytes: 8, tx_packets: 9, tx_errs: 10 };

/**
 * The files below `procRoot` that this host does not have.
 * @param {string} procRoot
 */
export function missingFiles(procRoot) {
  return ['stat', 'meminfo', 'net/dev', 'diskstats'].filter((name) => !existsSync(join(procRoot, name)));
}

/**
 * Times per processor, and the kernel's counters of switches and processes.
 * @param {string} procRoot
 * @returns {Reading[]}
 */
export function readCpu(procRoot) {
  const text = readText(procRoot, 'stat');
  if (text === undefined)
    return os
      .cpus()
      .slice(0, MAX_LINES)
      .map(({ times, speed }, index) => ({ what: `cpu${index}`, values: { ...times, speed_mhz: speed } }));
  /** @type {Reading[]} */
  const readings = [];
  /** @type {Record<string, number>} */
  const system = {};
  for (const line of text.split('\n')) {
    const [name = '', ...fields] = line.split(/\s+/);
    if (name.startsWith('cpu') && readings.length <= MAX_LINES)
      readings.push({ what: name, values: named(CPU_FIELDS, fields) });
    else if (['ctxt', 'processes', 'procs_running', 'procs_blocked', 'softirq'].includes(name))
      system[name] = Number(fields[0]);
  }
  return [...readings, { what: 'system', values: system }];
}

/**
 * The whole of meminfo as one reading.
 * @param {string} procRoot
 * @returns {Reading}
 */
export function readMemory(procRoot) {
  const text = readText(procRoot, 'meminfo');
  if (text === undefined)
    return { what: 'memory', values: { total: os.totalmem(), free: os.freemem(), ...process.memoryUsage() } };
  /** @type {Record<string, number>} */
  const values = {};
  for (const [, name = '', value] of text.matchAll(/^([^:\s]+):\s+(\d+)/gm)) values[name] = Number(value);
  return { what: 'memory', values };
}

/**
 * Traffic per network interface and per disk; disks that never did anything are left out.
 * @param {string} procRoot
 * @returns {Reading[]}
 */
export function readIo(procRoot) {
  return [...readInterfaces(procRoot), ...readDisks(procRoot)];
}

/** @param {string} procRoot */
function readInterfaces(procRoot) {
  const text = readText(procRoot, 'net/dev');
  if (text === undefined)
    return Object.entries(os.networkInterfaces())
      .slice(0, MAX_LINES)
      .map(([name, addresses = []]) => ({
        what: `net.${word(name)}`,
        values: { addresses: addresses.length },
      }));
  const lines = text.split('\n').filter((line) => line.includes(':'));
  return lines.slice(0, MAX_LINES).map((line) => {
    const [name = '', numbers = ''] = line.split(/:(.*)/);
    const fields = numbers.trim().split(/\s+/);
    const values = Object.fromEntries(
      Object.entries(NET_FIELDS).map(([field, place]) => [field, Number(fields[place])]),
    );
    return { what: `net.${word(name)}`, values };
  });
}

/** @param {string} procRoot */
function readDisks(procRoot) {
  const text = readText(procRoot, 'diskstats');
  if (text === undefined) {
    const { fsRead, fsWrite } = process.resourceUsage();
    return [{ what: 'disk.process', values: { reads: fsRead, writes: fsWrite } }];
  }
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).slice(2))
    .filter(([name, ...fields]) => name !== undefined && fields.some((field) => field !== '0'))
    .slice(0, MAX_LINES)
    .map(([name = '', ...fields]) => ({ what: `disk.${word(name)}`, values: named(DISK_FIELDS, fields) }));
}

/**
 * @param {readonly string[]} names
 * @param {readonly string[]} fields
 */
function named(names, fields) {
  return Object.fromEntries(names.map((name, index) => [name, Number(fields[index] ?? 0)]));
}

/** A name as one word of printable ASCII, since samples are split at spaces. @param {string} name */
function word(name) {
  return name.trim().replace(/[^!-~]+/g, '_');
}

/**
 * @param {string} procRoot
 * @param {string} name
 */
function readText(procRoot, name) {
  try {
    return readFileSync(join(procRoot, name), 'utf8');
  } catch {
    return undefined;
  }
}
