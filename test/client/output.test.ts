import { describe, expect, it } from 'vitest';
import { buildRun, Op } from '../../src/wire/index.js';
import { samplesOf } from './fake-daemon.js';
import { failure, producerOf, startDaemon, until } from './support.js';

const text = (size: number, fill = 'x'): string => fill.repeat(size);

describe('output', () => {
  it('stores text and bytes and resolves with the end of the last record', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    expect(await producer.output(['hello', new TextEncoder().encode('you')])).toEqual({
      accepted: 2,
      producerPos: 32n,
    });
    expect(await producer.output('one')).toEqual({ accepted: 1, producerPos: 48n });
    expect(daemon.everything).toEqual(['hello', 'you', 'one']);
  });

  it('copies the samples when it is called', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const sample = new TextEncoder().encode('before');
    const done = producer.output(sample);
    sample.fill(0);
    await done;
    expect(daemon.everything).toEqual(['before']);
  });

  it('resolves an empty output at once, without a frame', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    expect(await producer.output([])).toEqual({ accepted: 0, producerPos: 0n });
    expect(daemon.session.frames).toEqual([]);
  });

  it('pipelines: one cumulative ACK settles every call before it', async () => {
    const daemon = await startDaemon();
    daemon.fate = (frame) => (frame.op === Op.OUTPUT && frame.seq < 3 ? 'mute' : 'go');
    const producer = await producerOf(daemon);
    const receipts = await Promise.all(['a', 'b', 'c'].map((sample) => producer.output(sample)));
    expect(receipts.map(({ accepted }) => accepted)).toEqual([1, 1, 1]);
    expect(receipts.every(({ producerPos }) => producerPos === 48n)).toBe(true);
    expect(daemon.outputs().map(({ seq, resend }) => [seq, resend])).toEqual([
      [1, false],
      [2, false],
      [3, false],
    ]);
  });

  it('splits a batch into frames that the limit of WELCOME allows', async () => {
    const daemon = await startDaemon({ maxFrameBytes: 64 });
    const producer = await producerOf(daemon);
    const samples = Array.from({ length: 10 }, (_, i) => `sample ${i}`);
    expect(await producer.output(samples)).toMatchObject({ accepted: 10 });
    expect(daemon.everything).toEqual(samples);
    expect(daemon.outputs().map(({ run }) => samplesOf(run).length)).toEqual([4, 4, 2]);
  });

  it('splits a prebuilt run in the same way, and refuses one that cannot be walked', async () => {
    const daemon = await startDaemon({ maxFrameBytes: 48 });
    const producer = await producerOf(daemon);
    const samples = ['', 'a', 'bc', text(9)].map((sample) => new TextEncoder().encode(sample));
    expect(await producer.outputRun(buildRun(samples))).toMatchObject({ accepted: 4 });
    expect(daemon.everything).toEqual(['', 'a', 'bc', text(9)]);
    expect(daemon.outputs().length).toBe(2);
    const tooLong = new Uint8Array(16);
    tooLong[0] = 9;
    for (const run of [tooLong, new Uint8Array(7), new Uint8Array([0, 0, 0, 0x80, 0, 0, 0, 0])])
      expect(await failure(producer.outputRun(run))).toMatchObject({ errno: 'EINVAL', accepted: 0 });
  });

  it('refuses locally with E2BIG what no frame or no ring can hold, before anything is sent', async () => {
    const daemon = await startDaemon({ ringSize: 4096, maxFrameBytes: 2048 });
    const producer = await producerOf(daemon);
    expect(await failure(producer.output(['fine', text(2041)]))).toMatchObject({
      errno: 'E2BIG',
      accepted: 0,
    });
    expect(await failure(producer.output([text(1000), text(1040)], { atomic: true }))).toMatchObject({
      errno: 'E2BIG',
    });
    expect(daemon.session.frames).toEqual([]);
    expect(await producer.output(text(2040))).toMatchObject({ accepted: 1 });
  });

  it('sends no more than maxUnackedBytes before the ACK, and goes on in order', async () => {
    const daemon = await startDaemon();
    const held: (() => void)[] = [];
    daemon.fate = (frame, session) => {
      if (frame.op !== Op.OUTPUT) return 'go';
      held.push(() =>
        daemon.send(
          { op: Op.ACK, seq: frame.seq, durability: 'memory', producerPos: 0n, consumerPos: 0n },
          session,
        ),
      );
      return 'mute';
    };
    const producer = await producerOf(daemon, { maxUnackedBytes: 100 });
    const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map((sample) => producer.output(sample)));
    await until(() => held.length === 3);
    await producer.query();
    expect(daemon.outputs().length).toBe(3);
    held[0]!();
    await until(() => held.length === 4);
    held[3]!();
    await until(() => held.length === 5);
    held[4]!();
    await all;
    expect(daemon.everything).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(producer.queuedBytes).toBe(0);
  });

  it('refuses with EAGAIN what would queue more than maxQueuedBytes, but not the first', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { maxQueuedBytes: 100 });
    const big = failure(producer.output(text(200)));
    expect(await failure(producer.output('more'))).toMatchObject({
      errno: 'EAGAIN',
      code: 'QUEUE_FULL',
      retryable: true,
    });
    await producer.close({ timeoutMs: 0 });
    expect(await big).toMatchObject({ code: 'CLOSED', outcomeUnknown: true });
  });
});

describe('output when the ring is full', () => {
  it('watches for the first missing record, then resends the same frame and all later ones', async () => {
    const daemon = await startDaemon({ ringSize: 4096 });
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const samples = Array.from({ length: 6 }, (_, i) => text(1016, String(i)));
    const first = producer.output(samples);
    const second = producer.output('after');
    await until(() => daemon.session.watch !== undefined);
    const watches = daemon.session.frames.filter((frame) => frame.op === Op.WATCH);
    expect(watches).toMatchObject([{ on: true, minFree: 1024 }]);
    daemon.drain(1);
    await until(() => daemon.session.frames.filter((frame) => frame.op === Op.WATCH).length === 2);
    daemon.drain();
    expect(await first).toMatchObject({ accepted: 6 });
    expect(await second).toMatchObject({ accepted: 1 });
    expect(daemon.everything).toEqual([...samples, 'after']);
    const sent = daemon.outputs().map(({ seq, resend }) => `${seq}${resend ? ' again' : ''}`);
    expect(sent).toEqual(['1', '2', '3', '2 again', '3 again', '2 again', '3 again']);
  });

  it('watches once more after each ENOSPC, and stops watching at the first wakeup nobody waits for', async () => {
    const daemon = await startDaemon();
    daemon.fill(4096);
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const done = producer.output('x');
    await until(() => daemon.session.watch !== undefined);
    daemon.drain();
    await done;
    expect(daemon.session.watch).toBe(16);
    daemon.drain();
    await until(() => daemon.session.watch === undefined);
  });

  it('misses no room that was made between ENOSPC and WATCH', async () => {
    const daemon = await startDaemon();
    daemon.fill(4096);
    daemon.fate = (frame) => {
      if (frame.op === Op.WATCH) daemon.drain(Infinity, 'no-wakeup');
      return 'go';
    };
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    expect(await producer.output('x')).toMatchObject({ accepted: 1 });
  });

  it('finds room that a drain made without waking anybody, by the advice of the daemon', async () => {
    const daemon = await startDaemon({ retryAfterMs: 10 });
    daemon.fill(4096);
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const done = producer.output('x');
    await until(() => daemon.ops().includes(Op.QUERY));
    daemon.drain(Infinity, 'no-wakeup');
    expect(await done).toMatchObject({ accepted: 1 });
    expect(daemon.outputs().length).toBe(2);
  });

  it('sends little in vain through a ring that is small against maxUnackedBytes', async () => {
    const daemon = await startDaemon({ ringSize: 65_536 });
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const samples = Array.from({ length: 2000 }, (_, i) => text(1016, String(i % 10)));
    const done = producer.output(samples);
    while (daemon.everything.length < samples.length) {
      await until(() => daemon.free < 1024 || daemon.everything.length === samples.length);
      daemon.drain();
    }
    expect(await done).toMatchObject({ accepted: 2000 });
    expect(daemon.everything).toEqual(samples);
    const sentBytes = daemon.outputs().reduce((sum, { run }) => sum + run.length, 0);
    expect(sentBytes).toBeLessThan(5 * 2000 * 1024);
  });

  it('waits for the whole of an atomic output', async () => {
    const daemon = await startDaemon();
    daemon.fill(4000);
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const done = producer.output([text(56), text(56)], { atomic: true });
    await until(() => daemon.session.watch === 128);
    daemon.drain(2);
    await until(() => daemon.free === 112);
    daemon.drain(4);
    expect(await done).toMatchObject({ accepted: 2 });
  });

  it('with whenFull fail says how much was stored, and the next output takes the number', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p', whenFull: 'fail' });
    const samples = Array.from({ length: 5 }, (_, i) => text(1016, String(i)));
    const first = failure(producer.output(samples));
    const second = producer.output('small', { whenFull: 'wait' });
    expect(await first).toMatchObject({ errno: 'ENOSPC', code: 'REFUSED', accepted: 4, retryable: true });
    await until(() => daemon.session.watch !== undefined);
    daemon.drain();
    expect(await second).toMatchObject({ accepted: 1 });
    expect(daemon.everything).toEqual([...samples.slice(0, 4), 'small']);
    expect(daemon.stateOf('p')).toMatchObject({ partial: 0 });
  });

  it('counts what the earlier frames of the same call stored', async () => {
    const daemon = await startDaemon({ maxFrameBytes: 2048 });
    const producer = await producerOf(daemon, { whenFull: 'fail' });
    const samples = Array.from({ length: 9 }, (_, i) => text(500, String(i)));
    const error = await failure(producer.output(samples));
    expect(error).toMatchObject({ errno: 'ENOSPC', accepted: 8, outcomeUnknown: false });
    daemon.drain();
    await producer.output('next');
    expect(daemon.everything).toEqual([...samples.slice(0, 8), 'next']);
  });

  it('drops a waiting output when its signal aborts, and what was stored of it stays', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const controller = new AbortController();
    const samples = Array.from({ length: 5 }, (_, i) => text(1016, String(i)));
    const first = producer.output(samples, { signal: controller.signal });
    await until(() => daemon.session.watch !== undefined);
    const second = producer.output('next');
    controller.abort();
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
    await until(() => daemon.session.watch === 16);
    daemon.drain();
    expect(await second).toMatchObject({ accepted: 1 });
    expect(daemon.everything).toEqual([...samples.slice(0, 4), 'next']);
  });

  it('sends nothing of the outputs behind it that the same signal aborts', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p', fallbackQueryMs: 0 });
    const controller = new AbortController();
    const { signal } = controller;
    const samples = Array.from({ length: 5 }, (_, i) => text(1016, String(i)));
    const outputs = [samples, 'second', 'third'].map((sample) => producer.output(sample, { signal }));
    await until(() => daemon.session.watch !== undefined);
    daemon.drain(1);
    controller.abort();
    for (const output of outputs) await expect(output).rejects.toMatchObject({ name: 'AbortError' });
    await producer.output('next');
    expect(daemon.everything).toEqual([...samples.slice(0, 4), 'next']);
  });
});

describe('output that is refused', () => {
  it.each(['EINVAL', 'E2BIG', 'EIO', 'EPERM'] as const)(
    '%s rejects that call alone; the next frame takes over its number',
    async (errno) => {
      const daemon = await startDaemon();
      daemon.refuseOutput = (frame) => (samplesOf(frame.run)[0] === 'bad' ? errno : undefined);
      const producer = await producerOf(daemon, { producer: 'p' });
      const calls = ['a', 'bad', 'b', 'c'].map((sample) => producer.output(sample));
      calls[1]!.catch(() => undefined);
      expect(await failure(calls[1]!)).toMatchObject({ errno, code: 'REFUSED', accepted: 0 });
      await Promise.all([calls[0], calls[2], calls[3]]);
      expect(daemon.everything).toEqual(['a', 'b', 'c']);
      expect(daemon.stateOf('p')!.last).toBe(3);
      expect(daemon.outputs().every(({ resend }) => !resend)).toBe(true);
    },
  );

  it('refuses the rest of a call whose second frame is refused', async () => {
    const daemon = await startDaemon({ maxFrameBytes: 32 });
    daemon.refuseOutput = (frame) => (samplesOf(frame.run)[0] === 'bad' ? 'EINVAL' : undefined);
    const producer = await producerOf(daemon);
    const error = await failure(producer.output(['a', 'b', 'bad', 'c', 'd', 'e']));
    expect(error).toMatchObject({ errno: 'EINVAL', accepted: 2 });
    await producer.output('next');
    expect(daemon.everything).toEqual(['a', 'b', 'next']);
  });
});
