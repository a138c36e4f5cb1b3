/** What runs in the thread that carries out the commits of a daemon that have to wait for a disk. Started by commit-thread.ts. */
import { parentPort } from 'node:worker_threads';
import { UserRing } from '../../ring/index.js';
import { CommitWriter } from './commit-writer.js';
import { DirectFile } from './direct-file.js';
import { SyncFailed } from './failure.js';
import { ShownRecords } from './shown-records.js';
import { Staging } from './staging.js';
import type { ThreadAnswer, ThreadFailure, ThreadRequest } from './thread-messages.js';

interface OpenFile {
  readonly file: DirectFile;
  readonly writer: CommitWriter;
  ring?: UserRing;
  shown?: ShownRecords;
}

const port = parentPort!;
const staging = new Staging();
const files = new Map<number, OpenFile>();

port.on('message', (request: ThreadRequest) => {
  switch (request.type) {
    case 'open':
      openFile(request);
      break;
    case 'ring':
      Object.assign(files.get(request.file)!, {
        ring: new UserRing(request.ring, 'managed', true),
        shown: new ShownRecords(request.shown),
      });
      break;
    case 'ahead':
      void writeAhead(files.get(request.file)!, request.start, request.end);
      break;
    case 'commit':
      void commit(request);
      break;
    case 'close':
      // All that was told before is written: only a commit takes longer than its message, and none is under way.
      answer(request.file);
      files.delete(request.file);
      break;
  }
});

function openFile({ file, fd, kind }: Extract<ThreadRequest, { type: 'open' }>): void {
  const opened = new DirectFile(fd);
  files.set(file, { file: opened, writer: new CommitWriter(opened, kind, staging) });
}

/** Writes the records behind `start`, up to `end` and then what is shown meanwhile, until there is no more. */
async function writeAhead({ writer, ring, shown }: OpenFile, start: bigint, end: bigint): Promise<void> {
  for (let more: bigint | undefined = end; more !== undefined;) {
    end = more;
    writer.ahead(start, end, ring!);
    await writer.writing;
    do more = shown!.endBehind(start, end);
    while (more === undefined && !shown!.sleep(start, end));
  }
}

async function commit({ file, plan }: Extract<ThreadRequest, { type: 'commit' }>): Promise<void> {
  const open = files.get(file)!;
  const { writer, ring } = open;
  try {
    await writer.commit(plan, ring!);
    answer(file);
  } catch (error) {
    answer(file, failureOf(error));
  }
  // Of what has come meanwhile nobody told.
  await writeAhead(open, plan.rangeEnd, plan.rangeEnd);
}

function answer(file: number, error?: ThreadFailure): void {
  const { syncs } = files.get(file)!.file;
  port.postMessage({ file, syncs, ...(error && { error }) } satisfies ThreadAnswer);
}

function failureOf(error: unknown): ThreadFailure {
  const { cause, message } = error instanceof Error ? error : new Error(String(error));
  const syncFailed = error instanceof SyncFailed;
  const coded = syncFailed ? cause : error;
  const code = coded instanceof Error && 'code' in coded ? String(coded.code) : undefined;
  return { message: syncFailed && coded instanceof Error ? coded.message : message, code, syncFailed };
}
