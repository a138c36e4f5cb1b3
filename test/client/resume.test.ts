import { describe, expect, it } from 'vitest';
import type { ProducerEvents, Uncertain } from '../../src/client/index.js';
import { Op } from '../../src/wire/index.js';
import { failure, producerOf, startDaemon, until } from './support.js';

const text = (size: number, fill = 'x'): string => fill.repeat(size);

describe('a producer with an id', () => {
  it('resends what was not stored, and settles what was, after a cut', async () => {
    const daemon = await startDaemon();
    // Frame 2 is stored but never acknowledged; frame 3 never arrives.
    daemon.fate = (frame, session) =>
      daemon.sessions.length > 1 || frame.op !== Op.OUTPUT
        ? 'go'
        : frame.seq === 2
          ? 'mute'
          : frame.seq === 3 && session.frames.length === 3
            ? 'cut-before'
            : 'go';
    const producer = await producerOf(daemon, { producer: 'p' });
    const receipts = await Promise.all(['a', 'b', 'c', 'd'].map((sample) => producer.output(sample)));
    expect(daemon.everything).toEqual(['a', 'b', 'c', 'd']);
    expect(receipts[1]).toEqual({ accepted: 1, producerPos: 32n });
    expect(daemon.outputs().map(({ seq, resend }) => [seq, resend])).toEqual([
      [3, true],
      [4, true],
    ]);
  });

  it('goes on in the middle of a frame that was stored in part', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p', fallbackQueryMs: 0 });
    const samples = Array.from({ length: 4 }, (_, i) => text(1016, String(i)));
    daemon.fill(2048);
    const done = producer.output(samples);
    await until(() => daemon.session.watch !== undefined);
    daemon.session.socket.terminate();
    await until(() => daemon.sessions.length === 2 && daemon.session.watch !== undefined);
    daemon.drain();
    expect(await done).toMatchObject({ accepted: 4 });
    expect(daemon.everything.filter((sample) => sample !== '')).toEqual(samples);
  });

  it('closes a part that an earlier process left, before its own first frame', async () => {
    const daemon = await startDaemon();
    daemon.setState('p', { last: 7, partial: 3, ackedPos: 0n });
    const producer = await producerOf(daemon, { producer: 'p' });
    await producer.output(['a', 'b', 'c', 'd']);
    expect(daemon.everything).toEqual(['a', 'b', 'c', 'd']);
    expect(daemon.outputs().map(({ seq, run }) => [seq, run.length])).toEqual([
      [8, 0],
      [9, 64],
    ]);
  });

  it('does not mistake the part of a failed output for a part of the next, whatever is cut', async () => {
    const daemon = await startDaemon();
    daemon.fill(3072);
    let cuts = 0;
    daemon.fate = (frame) => {
      const closing = frame.op === Op.OUTPUT && frame.run.length === 0;
      return closing && cuts++ < 2 ? (cuts === 1 ? 'cut-before' : 'cut-after') : 'go';
    };
    const producer = await producerOf(daemon, { producer: 'p', whenFull: 'fail' });
    expect(await failure(producer.output([text(1016, 'a'), text(1016, 'b')]))).toMatchObject({ accepted: 1 });
    daemon.drain();
    await producer.output(['c', 'd']);
    expect(cuts).toBe(2);
    expect(daemon.everything.filter((sample) => sample !== '')).toEqual([text(1016, 'a'), 'c', 'd']);
  });

  it('numbers anew and resends when the content was lost, and says what is uncertain', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    const uncertain: Uncertain[] = [];
    producer.on('uncertain', (event) => uncertain.push(event));
    await producer.output(['a', 'b']);
    daemon.drain(1);
    await producer.query();
    daemon.fate = () => 'ignore';
    const open = producer.output('c');
    await until(() => daemon.outputs().length === 2);
    daemon.fate = () => 'go';
    daemon.loseContent();
    daemon.session.socket.close(4412, 'EAGAIN draining');
    expect(await open).toEqual({ accepted: 1, producerPos: 16n });
    expect(uncertain).toEqual([
      { reason: 'new-incarnation', incarnation: 'first', from: 16n, to: 32n, resent: 1, failed: 0 },
    ]);
    expect(daemon.outputs()).toMatchObject([{ seq: 1, resend: false }]);
  });

  it('numbers anew when the daemon forgot the producer, and sends no sample twice that it knows to be stored', async () => {
    const daemon = await startDaemon();
    daemon.fill(3072);
    const producer = await producerOf(daemon, { producer: 'p', fallbackQueryMs: 0 });
    const uncertain: Uncertain[] = [];
    producer.on('uncertain', (event) => uncertain.push(event));
    const samples = ['a', 'b', 'c'].map((fill) => text(1016, fill));
    const done = producer.output(samples);
    await until(() => daemon.session.watch !== undefined);
    daemon.forgetProducers();
    daemon.session.socket.terminate();
    await until(() => daemon.sessions.length === 2 && daemon.session.watch !== undefined);
    daemon.drain();
    expect(await done).toMatchObject({ accepted: 3 });
    expect(daemon.everything.filter((sample) => sample !== '')).toEqual(samples);
    expect(uncertain).toEqual([]);
  });

  it('reports frames in flight that a forgetful daemon may store twice', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { producer: 'p' });
    const uncertain: Uncertain[] = [];
    producer.on('uncertain', (event) => uncertain.push(event));
    const done = producer.output('a');
    await until(() => daemon.outputs().length === 1);
    daemon.fate = () => 'go';
    daemon.forgetProducers();
    daemon.session.socket.terminate();
    await done;
    expect(uncertain).toMatchObject([{ reason: 'producer-forgotten', resent: 1, failed: 0 }]);
  });

  it('fails what is in flight when somebody else used the id meanwhile', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { producer: 'p' });
    const uncertain: Uncertain[] = [];
    producer.on('uncertain', (event) => uncertain.push(event));
    const open = failure(producer.output('a'));
    await until(() => daemon.outputs().length === 1);
    daemon.fate = () => 'go';
    daemon.setState('p', { last: 40, partial: 0, ackedPos: 0n });
    daemon.session.socket.terminate();
    expect(await open).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcomeUnknown: true });
    expect(uncertain).toMatchObject([{ reason: 'producer-shared', failed: 1 }]);
    await producer.output('b');
    expect(daemon.outputs()).toMatchObject([{ seq: 41 }]);
  });

  it('takes outputs while there is no connection', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    daemon.session.socket.terminate();
    await until(() => !producer.connected);
    expect(await failure(producer.query())).toMatchObject({ errno: 'EAGAIN', code: 'NOT_CONNECTED' });
    expect(await producer.output('late')).toMatchObject({ accepted: 1 });
  });
});

describe('an anonymous producer', () => {
  it('fails what was in flight with an unknown outcome, and goes on with what was not', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { maxUnackedBytes: 40 });
    const sent = failure(producer.output('sent'));
    const waiting = producer.output('waiting');
    await until(() => daemon.outputs().length === 1);
    daemon.fate = () => 'go';
    daemon.session.socket.terminate();
    expect(await sent).toMatchObject({ errno: 'EIO', code: 'OUTCOME_UNKNOWN', outcomeUnknown: true });
    expect(await waiting).toMatchObject({ accepted: 1 });
    expect(daemon.everything).toEqual(['waiting']);
  });

  it('sends only the missing samples of an output that waited for room', async () => {
    const daemon = await startDaemon();
    daemon.fill(3072);
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const samples = ['a', 'b', 'c'].map((fill) => text(1016, fill));
    const done = producer.output(samples);
    await until(() => daemon.session.watch !== undefined);
    daemon.session.socket.terminate();
    await until(() => daemon.sessions.length === 2);
    daemon.drain();
    expect(await done).toMatchObject({ accepted: 3 });
    expect(daemon.everything.filter((sample) => sample !== '')).toEqual(samples);
  });
});

describe('the end of a connection', () => {
  it.each([4408, 4412, 4429, 1001, 1011])('close code %i is followed by a reconnect', async (code) => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    const events: string[] = [];
    producer.on('disconnect', ({ error, willReconnect }) =>
      events.push(`${error.closeCode} ${willReconnect}`),
    );
    producer.on('reconnecting', ({ attempt }) => events.push(`attempt ${attempt}`));
    producer.on('welcome', ({ resumed }) => events.push(`welcome ${resumed}`));
    daemon.session.socket.close(code);
    await until(() => daemon.sessions.length === 2 && producer.connected);
    expect(events).toEqual([`${code} true`, 'attempt 1', 'welcome true']);
  });

  it.each([
    [4503, 'EPERM', 'EPERM'],
    [4504, 'ENOENT deleted', 'ENOENT'],
    [4505, '', 'EPROTO'],
    [4506, '', 'ESTALE'],
    [4507, 'EPERM by an operator', 'EPERM'],
    [1000, '', 'EIO'],
  ])('close code %i is final: everything pending fails with the errno', async (code, reason, errno) => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { producer: 'p' });
    const closed: ProducerEvents['close'][] = [];
    producer.on('close', (event) => closed.push(event));
    const pending = [
      producer.output('a'),
      producer.reserve(8),
      producer.query(),
      producer.drained(100n),
      producer.watch({}, () => undefined),
      producer.reserveBlocking(8),
    ].map(failure);
    await until(() => daemon.session.frames.length >= 4);
    daemon.session.socket.close(code, reason);
    for (const error of await Promise.all(pending)) expect(error).toMatchObject({ errno });
    expect(closed).toMatchObject([{ error: { errno, closeCode: code } }]);
    expect(await failure(producer.output('later'))).toMatchObject({ errno });
    expect(daemon.upgrades.length).toBe(1);
  });

  it('is final when reconnecting is switched off, and after maxAttempts', async () => {
    const daemon = await startDaemon();
    const once = await producerOf(daemon, { reconnect: false });
    const thrice = await producerOf(daemon, { reconnect: { minDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 } });
    daemon.refuse = () => ({ status: 503 });
    for (const { socket } of daemon.sessions) socket.terminate();
    expect(await failure(once.drained(1n))).toMatchObject({ errno: 'EIO', code: 'DISCONNECTED' });
    expect(await failure(thrice.drained(1n))).toMatchObject({ code: 'RECONNECT_EXHAUSTED' });
    expect(daemon.upgrades.length).toBe(2 + 3);
  });

  it('is final when a reconnect is refused for good', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    daemon.refuse = () => ({ status: 404 });
    daemon.session.socket.terminate();
    expect(await failure(producer.drained(1n))).toMatchObject({ errno: 'ENOENT', status: 404 });
  });

  it('notices a daemon that owes an answer and says nothing', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => (daemon.sessions.length === 1 ? 'ignore' : 'go');
    const producer = await producerOf(daemon, { producer: 'p', replyTimeoutMs: 20 });
    expect(await producer.output('a')).toMatchObject({ accepted: 1 });
    expect(daemon.sessions.length).toBe(2);
  });
});
