import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { isValidName, NAME_RULE } from '../../server/names.js';
import { runSize } from '../../wire/index.js';
import { CliError } from '../cli-io.js';
import type { LoadOutput, LoadPlan } from './load-plan.js';
import { parseBytes, parseDurationMs } from './measures.js';

type Values = Readonly<Record<string, string | boolean | undefined>>;

interface LoadOption {
  readonly flags: string;
  readonly description: string;
  /** As it would be typed; `undefined`: absent unless given. */
  readonly default?: string;
  readonly group: string;
}

const LOAD = 'Load:';
const MAP = 'Map:';
const FAULTS = 'Faults:';
const OUTPUT = 'Output:';
const WHERE = 'Where:';

/** Every option; parser, help and docs/LOAD.md come from this table. */
export const loadOptions: readonly LoadOption[] = [
  {
    flags: '-u, --url <url>',
    description: 'Address of the daemon.',
    default: 'http://127.0.0.1:7890',
    group: WHERE,
  },
  {
    flags: '-t, --token <token>',
    description: 'Bearer token; other users of this machine can see it in the process list.',
    group: WHERE,
  },
  { flags: '--token-file <file>', description: 'File that holds the bearer token.', group: WHERE },
  {
    flags: '-p, --producers <count>',
    description: 'Producers, each with a connection of its own.',
    default: '4',
    group: LOAD,
  },
  {
    flags: '-r, --rate <samples>',
    description:
      'Samples a second, all producers together, sent on time whether the daemon keeps up or not. Absent: as fast as they are acknowledged.',
    group: LOAD,
  },
  {
    flags: '-d, --duration <time>',
    description: 'How long to send: 10, 10s, 500ms, 2m.',
    default: '10s',
    group: LOAD,
  },
  {
    flags: '-s, --sample-size <bytes>',
    description: 'Payload bytes of a sample.',
    default: '64',
    group: LOAD,
  },
  {
    flags: '-f, --frame-size <bytes>',
    description: 'Bytes of records in one frame, headers included; 0 = one sample a frame.',
    default: '4096',
    group: LOAD,
  },
  {
    flags: '-w, --window <bytes>',
    description: 'Bytes that one producer may have unacknowledged.',
    default: '256k',
    group: LOAD,
  },
  {
    flags: '--reserve-share <percent>',
    description: 'Share of the samples that are reserved and submitted instead of output.',
    default: '0',
    group: LOAD,
  },
  {
    flags: '--rest',
    description: 'Drive POST /v1/maps/{map}/samples with autocannon instead; producers are connections then.',
    group: LOAD,
  },
  {
    flags: '-m, --map <name>',
    description: 'Map to fill. If it does not exist it is created, and removed at the end.',
    default: 'load',
    group: MAP,
  },
  {
    flags: '--max-entries <bytes>',
    description: 'Ring size of a map that is created.',
    default: '1M',
    group: MAP,
  },
  {
    flags: '--durability <word>',
    description: 'Durability of a map that is created: memory, written or synced.',
    default: 'memory',
    group: MAP,
  },
  { flags: '--keep', description: 'Leave what was created.', group: MAP },
  {
    flags: '--settle <time>',
    description:
      'How long the end may take: flushing, waiting for a daemon that is away, draining what is left.',
    default: '30s',
    group: MAP,
  },
  {
    flags: '--cut <time>',
    description: 'Cut the connection of one producer after another, without a goodbye, once in this time.',
    group: FAULTS,
  },
  {
    flags: '--stall <time>',
    description: 'Stop the drain for this time, again and again, a fifth of the run in all.',
    group: FAULTS,
  },
  {
    flags: '--slow-reader <count>',
    description: 'So many of the producers read their replies only twice a second.',
    default: '0',
    group: FAULTS,
  },
  { flags: '--json', description: 'Print the result as one JSON object instead of a table.', group: OUTPUT },
  {
    flags: '--report <file>',
    description: 'Write a report with plots, one HTML file that needs nothing else.',
    group: OUTPUT,
  },
];

/** Adds the options of the table to a command. */
export function addLoadOptions(command: Command): Command {
  for (const { flags, description, default: value, group } of loadOptions) {
    const shown = value === undefined ? description : `${description} (default: ${value})`;
    command.addOption(new Option(flags, shown).helpGroup(group));
  }
  return command;
}

/**
 * The plan that a command line stands for.
 * @throws CliError with exit code 2 that names the option
 */
export function loadPlanOf(command: Command): { plan: LoadPlan; output: LoadOutput } {
  const given = command.opts<Values>();
  const read = new OptionReader(given);
  const sampleSize = read.bytes('--sample-size', 0, 2 ** 24 - 1);
  const frameSize = read.bytes('--frame-size', 0, 2 ** 30);
  const producers = read.count('--producers', 1, 16_384);
  const rate = read.isGiven('--rate') ? read.number('--rate', 0.001, 1e9) : undefined;
  const plan: LoadPlan = {
    url: read.url('--url'),
    token: read.token(),
    map: read.name('--map'),
    maxEntries: read.bytes('--max-entries', 4096, 2 ** 30),
    durability: read.word('--durability', ['memory', 'written', 'synced']),
    keep: given.keep === true,
    producers,
    rate,
    sampleSize,
    frameSamples: Math.max(1, Math.floor(frameSize / runSize([new Uint8Array(sampleSize)]))),
    durationMs: read.duration('--duration', 100),
    windowBytes: read.bytes('--window', 1, 2 ** 30),
    reserveShare: read.number('--reserve-share', 0, 100) / 100,
    cutMs: read.isGiven('--cut') ? read.duration('--cut', 10) : undefined,
    stallMs: read.isGiven('--stall') ? read.duration('--stall', 10) : undefined,
    slowReaders: read.count('--slow-reader', 0, producers),
    rest: given.rest === true,
    settleMs: read.duration('--settle', 0),
  };
  refuseContradictions(plan);
  return { plan, output: { json: given.json === true, report: read.text('--report') } };
}

function refuseContradictions({ rest, cutMs, slowReaders, reserveShare }: LoadPlan): void {
  if (!rest) return;
  const meaningless = [
    cutMs !== undefined && '--cut',
    slowReaders > 0 && '--slow-reader',
    reserveShare > 0 && '--reserve-share',
  ].filter((flag) => flag !== false);
  if (meaningless.length > 0)
    throw new CliError(
      `${meaningless.join(', ')}: not with --rest`,
      'These are about WebSocket producers; --rest has none.',
      2,
    );
}

/** Reads the values of the table, each with the rule that it has to keep. */
class OptionReader {
  readonly #given: Values;

  constructor(given: Values) {
    this.#given = given;
  }

  isGiven(flag: string): boolean {
    return this.#given[attributeName(flag)] !== undefined;
  }

  text(flag: string): string | undefined {
    const value = this.#given[attributeName(flag)] ?? defaults.get(flag);
    return value === undefined ? undefined : String(value);
  }

  number(flag: string, least: number, most: number): number {
    const text = this.#required(flag);
    const value = text.trim() === '' ? NaN : Number(text.replaceAll(',', ''));
    if (!(value >= least && value <= most)) throw wrong(flag, text, `a number from ${least} to ${most}`);
    return value;
  }

  count(flag: string, least: number, most: number): number {
    const value = this.number(flag, least, most);
    if (!Number.isInteger(value)) throw wrong(flag, this.#required(flag), 'a whole number');
    return value;
  }

  bytes(flag: string, least: number, most: number): number {
    const text = this.#required(flag);
    const value = parseBytes(text);
    if (value === undefined || value < least || value > most)
      throw wrong(flag, text, `a size from ${least} to ${most} bytes, such as 4096, 64k or 1M`);
    return value;
  }

  duration(flag: string, least: number): number {
    const text = this.#required(flag);
    const value = parseDurationMs(text);
    if (value === undefined || value < least)
      throw wrong(flag, text, `a time of at least ${least} ms, such as 10s, 500ms or 2m`);
    return value;
  }

  word<Word extends string>(flag: string, words: readonly Word[]): Word {
    const text = this.#required(flag);
    const word = words.find((one) => one === text);
    if (word === undefined) throw wrong(flag, text, `one of ${words.join(', ')}`);
    return word;
  }

  name(flag: string): string {
    const text = this.#required(flag);
    if (!isValidName(text)) throw wrong(flag, text, NAME_RULE);
    return text;
  }

  url(flag: string): string {
    const text = this.#required(flag);
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
      throw wrong(flag, text, 'an address such as http://127.0.0.1:7890');
    return new URL(text).href.replace(/\/+$/, '');
  }

  token(): string | undefined {
    const file = this.text('--token-file');
    if (file === undefined) return this.text('--token');
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new CliError(`--token-file: ${(error as Error).message}`, undefined, 2);
    }
  }

  #required(flag: string): string {
    return this.text(flag) ?? '';
  }
}

const longFlag = ({ flags }: LoadOption): string => /--[a-z-]+/.exec(flags)![0];
const attributeName = (flag: string): string => new Option(flag).attributeName();
const defaults = new Map(loadOptions.map((option) => [longFlag(option), option.default]));

function wrong(flag: string, text: string, wanted: string): CliError {
  return new CliError(
    `${flag}: "${text}" is not ${wanted}`,
    'Run "ringbufd load --help" for what there is.',
    2,
  );
}
