import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestGuard } from '../../src/server/request-guard.js';

function guard(settings: { hosts?: string[]; origins?: string[]; listen?: string[] } = {}): RequestGuard {
  const { hosts = [], origins = [], listen = ['127.0.0.1'] } = settings;
  return new RequestGuard({ allowed_hosts: hosts, allowed_origins: origins }, () => listen);
}

describe('Host', () => {
  const reason = (host: string | undefined, of = guard()): string | undefined => of.check({ host })?.reason;

  it.each([
    'localhost',
    'LOCALHOST:7890',
    'localhost.',
    '127.0.0.1:7890',
    '127.255.0.9',
    '[::1]:7890',
    '[::1]',
    '[0:0::1]:1',
  ])('%s is always answered', (host) => expect(reason(host)).toBeUndefined());

  it.each([
    'evil.example',
    'evil.example:7890',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'notlocalhost',
    '127.1',
    '2130706433',
    '0.0.0.0:7890',
    '[::]:7890',
    '[::2]',
    '10.0.0.1',
    '128.0.0.1',
    'localhost:',
    'localhost:99999',
    'localhost:80:80',
    'user@localhost',
    'localhost/x',
    'evil.example#localhost',
    'localhost evil',
    '::1',
    '',
    undefined,
  ])('%j is refused', (host) => expect(reason(host)).toBe('host'));

  it('of the address listened on is answered, on any port, also when it is known only later', () => {
    const listen: string[] = [];
    const later = guard({ listen });
    expect(reason('10.1.2.3:7890', later)).toBe('host');
    listen.push('10.1.2.3', 'Ring.Local', 'fe80::1');
    for (const host of ['10.1.2.3:7890', '10.1.2.3', 'ring.local:1', '[FE80:0::1]:7890'])
      expect(reason(host, later)).toBeUndefined();
    expect(reason('10.1.2.4', later)).toBe('host');
  });

  it.each(['0.0.0.0', '::'])('is loopback or listed when listening on %s', (wildcard) => {
    const open = guard({ listen: [wildcard], hosts: ['ring.example'] });
    expect(reason('localhost:7890', open)).toBeUndefined();
    expect(reason('RING.example:1234', open)).toBeUndefined();
    expect(reason('10.0.0.1:7890', open)).toBe('host');
    expect(reason(wildcard.includes(':') ? `[${wildcard}]` : wildcard, open)).toBe('host');
  });

  it('with a port in the allow-list needs that port', () => {
    const ports = guard({ hosts: ['a.example:8443', 'b.example:443', '[fe80::2]:90'] });
    expect(reason('a.example:8443', ports)).toBeUndefined();
    expect(reason('a.example:8444', ports)).toBe('host');
    expect(reason('a.example', ports)).toBe('host');
    expect(reason('b.example', ports)).toBeUndefined();
    expect(reason('[fe80::2]:90', ports)).toBeUndefined();
    expect(reason('[fe80::2]:91', ports)).toBe('host');
  });

  it('is told in the refusal, with the key to change', () => {
    expect(guard().check({ host: 'evil.example:1' })?.message).toMatch(/evil\.example .*allowed_hosts/);
  });
});

describe('Origin', () => {
  const reason = (origin: string | undefined, host = 'localhost:7890', of = guard()): string | undefined =>
    of.check({ host, origin })?.reason;

  it.each([
    [undefined, 'localhost:7890'],
    ['http://localhost:7890', 'localhost:7890'],
    ['HTTP://LocalHost:7890', 'localhost:7890'],
    ['https://127.0.0.1:7890', '127.0.0.1:7890'],
    ['http://[::1]:7890', '[::1]:7890'],
    ['http://localhost', 'localhost'],
    ['http://localhost', 'localhost:80'],
    ['https://localhost', 'localhost:443'],
    ['https://localhost', 'localhost'],
  ])('%j at %s is its own', (origin, host) => expect(reason(origin, host)).toBeUndefined());

  it.each([
    ['http://localhost:3000', 'localhost:7890'],
    ['http://127.0.0.1:7890', 'localhost:7890'],
    ['http://localhost', 'localhost:7890'],
    ['http://localhost:80', 'localhost:443'],
    ['http://evil.example', 'localhost:7890'],
    ['http://localhost.evil.example:7890', 'localhost:7890'],
    ['http://localhost:7890@evil.example', 'localhost:7890'],
    ['http://evil.example/localhost:7890', 'localhost:7890'],
    ['http://localhost:7890/', 'localhost:7890'],
    ['http://localhost:7890 http://evil.example', 'localhost:7890'],
    ['localhost:7890', 'localhost:7890'],
    ['file://', 'localhost:7890'],
    ['chrome-extension://localhost:7890', 'localhost:7890'],
    ['null', 'localhost:7890'],
    ['', 'localhost:7890'],
  ])('%j at %s is foreign', (origin, host) => expect(reason(origin, host)).toBe('origin'));

  it('that is listed may call, on exactly its scheme, host and port', () => {
    const listed = guard({ origins: ['https://App.example:443', 'http://localhost:3000'] });
    expect(reason('https://app.example', 'localhost:7890', listed)).toBeUndefined();
    expect(reason('http://localhost:3000', '127.0.0.1:7890', listed)).toBeUndefined();
    expect(reason('http://app.example', 'localhost:7890', listed)).toBe('origin');
    expect(reason('https://app.example:8443', 'localhost:7890', listed)).toBe('origin');
    expect(reason('http://localhost:3001', '127.0.0.1:7890', listed)).toBe('origin');
  });

  it('does not help a foreign Host', () => {
    expect(reason('http://evil.example', 'evil.example')).toBe('host');
  });

  it('is told in the refusal, with the key to change', () => {
    const refusal = guard().check({ host: 'localhost', origin: 'http://evil.example' });
    expect(refusal?.message).toMatch(/"http:\/\/evil\.example" .*allowed_origins/);
  });
});

describe('Sec-Fetch-Site', () => {
  const host = 'localhost:7890';

  it('cross-site without an Origin is refused', () => {
    expect(guard().check({ host, secFetchSite: 'cross-site' })?.reason).toBe('origin');
    expect(guard().check({ host, secFetchSite: ' Cross-Site ' })?.reason).toBe('origin');
  });

  it('cross-site with a listed Origin is answered', () => {
    const listed = guard({ origins: ['https://app.example'] });
    expect(listed.check({ host, origin: 'https://app.example', secFetchSite: 'cross-site' })).toBeUndefined();
  });

  it.each(['none', 'same-origin', 'same-site', undefined])('%s is answered', (secFetchSite) => {
    expect(guard().check({ host, secFetchSite })).toBeUndefined();
  });
});

describe('any headers at all', () => {
  it('are answered or refused, never an error', () => {
    const text = fc.option(
      fc.oneof(fc.string(), fc.webUrl(), fc.string({ unit: fc.constantFrom(...'htps:/[]@.1localhost') })),
      { nil: undefined },
    );
    const own = guard({ hosts: ['a.example'], origins: ['https://a.example'] });
    fc.assert(
      fc.property(text, text, text, (host, origin, secFetchSite) => {
        expect(['host', 'origin', undefined]).toContain(own.check({ host, origin, secFetchSite })?.reason);
      }),
    );
  });
});
