import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Trace } from '../trace.js';

const BUILD_SCRIPT = fileURLToPath(new URL('./build.sh', import.meta.url));
const RECORDER = fileURLToPath(new URL('./build/recorder', import.meta.url));
/** What build.sh and the recorder exit with where there is nothing to record with. */
const EXIT_UNAVAILABLE = 3;

export type RecorderAvailability = { available: true } | { available: false; reason: string };

export interface RecordOptions {
  /** Recorder processes that share the scripts. Default 2. */
  processes?: number;
  /** How long a drain without a visible wakeup is given to show one, in microseconds. Default: the recorder's, 200. */
  waitUs?: number;
}

/**
 * Builds the recorder if need be and asks it whether this kernel takes its program. A machine that cannot record is an
 * answer; a recorder that does not compile is a defect and throws.
 */
export function recorderAvailability(): RecorderAvailability {
  if (process.platform !== 'linux') {
    return { available: false, reason: `the recorder takes a Linux kernel, this is ${process.platform}` };
  }
  for (const [command, ...args] of [[BUILD_SCRIPT], [RECORDER, '--check']] as const) {
    const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status === EXIT_UNAVAILABLE) return { available: false, reason: stderr.trim() };
    if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr.trim()}`);
  }
  return { available: true };
}

/** Records scripts on this machine's kernel. The traces come in the scripts' order, as soon as they are made. */
export async function* recordScripts(
  scripts: readonly (readonly string[])[],
  { processes = 2, waitUs }: RecordOptions = {},
): AsyncGenerator<Trace, void, undefined> {
  const count = Math.min(processes, scripts.length);
  // Dealt out like cards: reading the processes in turn then gives back the scripts' order.
  const recorders = Array.from(
    { length: count },
    (_, first) =>
      new RecorderProcess(
        scripts.filter((_script, i) => i % count === first),
        waitUs,
      ),
  );
  try {
    for (let i = 0; i < scripts.length; i++) yield await recorders[i % count]!.next();
  } finally {
    for (const recorder of recorders) recorder.stop();
  }
}

class RecorderProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown>;
  #stderr = '';

  constructor(scripts: readonly (readonly string[])[], waitUs: number | undefined) {
    const args = waitUs === undefined ? [] : ['--wait-us', String(waitUs)];
    this.#child = spawn(RECORDER, args);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#exit = once(this.#child, 'close').catch((error: Error) => (this.#stderr += error.message));
    // A recorder that stops early breaks the pipe; next() then says why it stopped.
    this.#child.stdin.on('error', () => undefined);
    Readable.from(scripts.map((script) => `${script.join('\n')}\n`)).pipe(this.#child.stdin);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next(): Promise<Trace> {
    const line = await this.#lines.next();
    // A recorder that gives up in the middle of a trace leaves half a line, which is not to be taken for bad JSON.
    if (!line.done && line.value.endsWith(']}')) return JSON.parse(line.value) as Trace;
    await this.#exit;
    const { exitCode, signalCode } = this.#child;
    throw new Error(
      `the recorder stopped early (${signalCode ?? `exit status ${exitCode}`}): ${this.#stderr.trim()}`,
    );
  }

  stop(): void {
    this.#child.kill();
  }
}
