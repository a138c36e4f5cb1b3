import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CliError, type CliIo } from '../cli-io.js';
import type { LedgerAnswer } from '../verify/ledger-answer.js';
import { judge, type Verdict } from '../verify/verdict.js';

/** Longest time that the call may take, in ms. */
const CALL_TIMEOUT_MS = 10_000;

interface VerifyOptions {
  producer?: string;
  expect?: string;
  expectHash?: string;
  drained?: boolean;
  token?: string;
  tokenFile?: string;
  json?: boolean;
}

/** `ringbufd verify URL MAP`: says whether the books of a map prove that nothing was lost, and shows the equation. */
export function addVerifyCommand(program: Command, io: CliIo): void {
  program
    .command('verify')
    .description(
      'Ask a daemon for the ledger of a map and say PROVEN or NOT PROVEN: accepted = drained + discarded + dead-lettered + quarantined + buffered. Ends with 0 or 1.',
    )
    .argument('<url>', 'Base address of the daemon, such as http://127.0.0.1:7890.')
    .argument('<map>', 'Name of the map.')
    .option('-p, --producer <id>', 'Look at the line of this producer only, beside the map.')
    .option(
      '-e, --expect <samples>',
      'So many samples must have been accepted: of the producer, over all restarts; without one, of the map.',
    )
    .option(
      '--expect-hash <hex>',
      'The hash of what the producer sent (a map with "ledger":"hash", and --producer).',
    )
    .option('-d, --drained', 'Everything accepted must be drained by now, nothing buffered, nothing astray.')
    .option(
      '-t, --token <token>',
      'Bearer token; other users of this machine can see it in the process list.',
    )
    .option('--token-file <file>', 'File that holds the bearer token.')
    .option('--json', 'Print the findings and the ledger as JSON.')
    .action(async (url: string, map: string, options: VerifyOptions) => {
      if (options.expectHash !== undefined && options.producer === undefined)
        throw new CliError(
          '--expect-hash: name the producer whose hash it is with --producer ID',
          undefined,
          2,
        );
      const expected = {
        producer: options.producer,
        accepted: options.expect === undefined ? undefined : countOf(options.expect),
        hash: options.expectHash,
        drained: options.drained === true,
      };
      const ledger = await fetchLedger(url, map, options);
      const verdict = judge(ledger, expected);
      io.stdout(
        options.json ? `${JSON.stringify({ ...verdict, ledger }, null, 2)}\n` : textOf(ledger, verdict),
      );
      if (!verdict.proven)
        throw new CliError(
          `NOT PROVEN: ${verdict.findings.filter(({ holds }) => !holds).length} of ${verdict.findings.length} findings do not hold`,
        );
    });
}

function textOf(ledger: LedgerAnswer, { proven, findings }: Verdict): string {
  const lines = findings.map(({ holds, text }) => `${holds ? 'ok  ' : 'FAIL'} ${text}`);
  const how = ledger.counted ? 'counted in the ring' : 'as the books say';
  return (
    `${lines.join('\n')}\n` +
    `${proven ? 'PROVEN' : 'NOT PROVEN'} (incarnation ${ledger.incarnation}, durability ${ledger.durability}, buffered samples ${how})\n`
  );
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count))
    throw new CliError(`--expect: ${text} is no number of samples`, undefined, 2);
  return count;
}

async function fetchLedger(url: string, map: string, options: VerifyOptions): Promise<LedgerAnswer> {
  const token = tokenOf(options);
  const query =
    options.producer === undefined ? '?limit=100000' : `?producer=${encodeURIComponent(options.producer)}`;
  let target: URL;
  try {
    target = new URL(
      `v1/maps/${encodeURIComponent(map)}/ledger${query}`,
      url.endsWith('/') ? url : `${url}/`,
    );
  } catch {
    throw new CliError(
      `${url} is no address`,
      'Give the base address of the daemon, such as http://127.0.0.1:7890.',
      2,
    );
  }
  let answer: Response;
  try {
    answer = await fetch(target, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
  } catch (error) {
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    throw new CliError(
      `no answer from the daemon at ${url}: ${cause?.code ?? cause?.message ?? (error as Error).message}`,
      'Is it running there?',
    );
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as LedgerAnswer;
  const { detail, advice } = problemIn(text);
  throw new CliError(
    `the daemon answered with ${answer.status}: ${detail ?? text.slice(0, 200)}`,
    answer.status === 401 ? 'Give a token that may read the map: --token-file FILE.' : advice,
  );
}

function tokenOf({ token, tokenFile }: VerifyOptions): string | undefined {
  if (tokenFile === undefined) return token;
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch (error) {
    throw new CliError(`--token-file: ${(error as Error).message}`, undefined, 2);
  }
}

function problemIn(text: string): { detail?: string; advice?: string } {
  try {
    return JSON.parse(text) as { detail?: string; advice?: string };
  } catch {
    return {};
  }
}
