import { InvalidArgumentError, type Command } from 'commander';
import { inspectJournals, type JournalReport, type UnreadableJournal } from '../../server/journal/inspect.js';
import { CliError, type CliIo } from '../cli-io.js';
import { missingPath } from '../missing-path.js';

const DEFAULT_LIMIT = 10;

/** `ringbufd inspect PATH`: what the journals of a data directory hold, and what is wrong with them. Changes nothing. */
export function addInspectCommand(program: Command, io: CliIo): void {
  program
    .command('inspect')
    .description(
      'Show what a journal holds, record by record, and what is damaged. Changes nothing; may run beside a daemon. Ends with 1 when something is damaged.',
    )
    .argument('<path>', 'A data directory, or one journal file.')
    .option('--json', 'Print JSON.', false)
    .option('--limit <records>', 'Records to list of each journal.', toLimit, DEFAULT_LIMIT)
    .action(async (path: string, options: { json: boolean; limit: number }) => {
      const reports = await inspectJournals(path, options.limit).catch((error: unknown) => {
        throw (
          missingPath(path, error) ?? new CliError(error instanceof Error ? error.message : String(error))
        );
      });
      if (options.json) io.stdout(`${JSON.stringify(reports.map(toJson), null, 2)}\n`);
      else if (reports.length === 0) io.stdout(`no journals in ${path}\n`);
      else io.stdout(reports.map(toText).join('\n'));
      const bad = reports.filter(isDamaged).map(({ file }) => file);
      if (bad.length > 0)
        throw new CliError(
          `damaged: ${bad.join(', ')}`,
          'A daemon that starts keeps damaged bytes aside and drains the rest; see docs/DURABILITY.md.',
        );
    });
}

function isDamaged(report: JournalReport | UnreadableJournal): boolean {
  return 'problem' in report || report.damage.length > 0 || report.notes.length > 0;
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 0)
    throw new InvalidArgumentError('must be a whole number, 0 or more.');
  return limit;
}

function toText(report: JournalReport | UnreadableJournal): string {
  if ('problem' in report) return `${report.file}\n  ${row('unusable', report.problem)}`;
  const { header, commit, counters, records, damage, list } = report;
  const used = commit.producerPos - commit.consumerPos;
  const listed = list.map(({ position, kind, length }) => row(kind, `at ${position}, ${length} bytes`));
  const unlisted = records.sample + records.discard + records.reservation - list.length;
  const lines = [
    row('map', `${header.map}${report.live ? ' (live: a daemon has this directory)' : ''}`),
    row('incarnation', `${header.incarnation}, created ${new Date(header.createdMs).toISOString()}`),
    row('ring', `${header.maxEntries} bytes, ${used} used`),
    row('positions', `consumer ${commit.consumerPos}, producer ${commit.producerPos}`),
    row('commit', `${commit.number}, ${commit.durability}`),
    ...(report.incomplete === undefined
      ? []
      : [row('incomplete', `commit ${report.incomplete} was cut short, or is under way: it does not count`)]),
    row('accepted', `${counters.acceptedSamples} samples, ${counters.acceptedBytes} bytes`),
    row(
      'records',
      `${records.sample} samples (${report.sampleBytes} bytes), ${records.discard} discards, ${records.reservation} open reservations`,
    ),
    ...listed,
    ...(unlisted > 0 && list.length > 0
      ? [row('', `and ${unlisted} more: --limit ${unlisted + list.length}`)]
      : []),
    row('producers', String(report.producers.length)),
    ...report.producers
      .slice(0, Math.max(list.length, DEFAULT_LIMIT))
      .map(({ id, owner, lastSeq, partial }) =>
        row('', `${id} of ${owner}: seq ${lastSeq}, ${partial} samples of the next one`),
      ),
    row('damage', damage.length === 0 && report.notes.length === 0 ? 'none' : ''),
    ...damage.map(({ position, bytes }) => row('', `at ${position}, ${bytes} bytes`)),
    ...report.notes.map((note) => row('', note)),
  ];
  return `${report.file}\n${lines.join('')}`;
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(12)} ${text}`.trimEnd() + '\n';
}

function toJson(report: JournalReport | UnreadableJournal): unknown {
  if ('problem' in report) return report;
  const { header, commit, counters } = report;
  return {
    file: report.file,
    map: header.map,
    incarnation: header.incarnation,
    created: new Date(header.createdMs).toISOString(),
    max_entries: header.maxEntries,
    live: report.live,
    commit: {
      number: commit.number,
      durability: commit.durability,
      producer_pos: String(commit.producerPos),
      consumer_pos: String(commit.consumerPos),
    },
    incomplete_commit: report.incomplete ?? null,
    counters: {
      accepted_samples: counters.acceptedSamples,
      accepted_bytes: counters.acceptedBytes,
      drained_samples: counters.drainedSamples,
      discarded_samples: counters.discardedSamples,
      discarded_bytes: counters.discardedBytes,
      released_bytes: counters.releasedBytes,
      dead_lettered_samples: counters.deadLetteredSamples,
      dead_lettered_bytes: counters.deadLetteredBytes,
      quarantined_samples: counters.quarantinedSamples,
      quarantined_bytes: counters.quarantinedBytes,
    },
    producers: report.producers.map((state) => ({
      id: state.id,
      owner: state.owner,
      last_seq: String(state.lastSeq),
      partial: state.partial,
      acked_pos: String(state.ackedPos),
      accepted_samples: state.acceptedSamples,
      accepted_bytes: state.acceptedBytes,
      drained_samples: state.books.drainedSamples,
      last_seen: new Date(state.lastSeenMs).toISOString(),
    })),
    records: {
      samples: report.records.sample,
      sample_bytes: report.sampleBytes,
      discards: report.records.discard,
      reservations: report.records.reservation,
      list: report.list.map(({ position, kind, length }) => ({ position: String(position), kind, length })),
    },
    damage: report.damage.map(({ position, bytes }) => ({ position: String(position), bytes })),
    notes: report.notes,
  };
}
