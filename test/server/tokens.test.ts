import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ANONYMOUS,
  bearerFromHeader,
  bearerFromSubprotocols,
  hashToken,
  matchesGlob,
  TokenStore,
  type Action,
  type Identity,
} from '../../src/server/tokens.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const ACTIONS: Action[] = ['admin', 'produce', 'drain', 'read'];

function identity(...scopes: string[]): Identity {
  const store = new TokenStore([{ name: 'who', sha256: sha256('secret'), scopes }]);
  const found = store.authenticate('secret', 0);
  if (typeof found === 'string') throw new Error(found);
  return found;
}

describe('a store without tokens', () => {
  it('takes every caller for anonymous, who may do everything', () => {
    const store = new TokenStore([]);
    expect(store.required).toBe(false);
    for (const token of [undefined, '', 'anything']) {
      const caller = store.authenticate(token, 0);
      expect(caller).toBe(ANONYMOUS);
    }
    expect(ANONYMOUS.name).toBe('anonymous');
    for (const action of ACTIONS)
      expect([ANONYMOUS.may(action), ANONYMOUS.may(action, 'm')]).toEqual([true, true]);
  });
});

describe('a store with tokens', () => {
  const store = new TokenStore([
    { name: 'first', sha256: sha256('one'), scopes: ['admin'] },
    {
      name: 'second',
      sha256: sha256('zwölf').toUpperCase(),
      scopes: ['read:*'],
      expires: '2030-01-01T00:00:00Z',
    },
    { name: 'third', sha256: sha256('three'), scopes: ['read:*'] },
  ]);
  const end = Date.UTC(2030, 0, 1);

  it('names the caller by the token', () => {
    expect(store.required).toBe(true);
    expect(store.authenticate('one', 0)).toMatchObject({ name: 'first' });
    expect(store.authenticate('zwölf', 0)).toMatchObject({ name: 'second' });
    expect(store.authenticate('three', 0)).toMatchObject({ name: 'third' });
  });

  it('refuses no token, another token, and the hash of a token', () => {
    expect(store.authenticate(undefined, 0)).toBe('missing');
    for (const token of ['', 'One', 'one ', sha256('one')])
      expect(store.authenticate(token, 0)).toBe('unknown');
  });

  it('refuses a token from the instant at which it expires', () => {
    expect(store.authenticate('zwölf', end - 1)).toMatchObject({ name: 'second' });
    expect(store.authenticate('zwölf', end)).toBe('expired');
    expect(store.authenticate('three', Number.MAX_SAFE_INTEGER)).toMatchObject({ name: 'third' });
  });

  it('hashes as the configuration wants it', () => {
    expect(hashToken('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});

describe('scopes', () => {
  it('admin implies everything', () => {
    for (const action of ACTIONS) {
      expect(identity('admin').may(action)).toBe(true);
      expect(identity('admin').may(action, 'm')).toBe(true);
    }
  });

  it('others allow their own action on their own maps and nothing else', () => {
    const caller = identity('produce:sensor-*', 'read:a?');
    const allowed = ACTIONS.flatMap((action) =>
      ['sensor-1', 'sensor', 'x-sensor-1', 'ab', 'abc']
        .filter((map) => caller.may(action, map))
        .map((map) => `${action} ${map}`),
    );
    expect(allowed).toEqual(['produce sensor-1', 'read ab']);
  });

  it('without a map speak of all maps', () => {
    expect(identity('read:*').may('read')).toBe(true);
    expect(identity('read:**').may('read')).toBe(true);
    expect(identity('read:a*').may('read')).toBe(false);
    expect(identity('read:*').may('drain')).toBe(false);
    expect(identity('read:*').may('admin')).toBe(false);
  });
});

describe('globs', () => {
  it.each([
    ['*', '', true],
    ['*', 'abc', true],
    ['a*c', 'abbc', true],
    ['a*c', 'abcd', false],
    ['*b*', 'abc', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['abc', 'abc', true],
    ['abc', 'ABC', false],
    ['a.c', 'abc', false],
    ['**a', 'xa', true],
    ['*ab*ab', 'abab', true],
    ['*ab*ab', 'abxa', false],
  ])('%s against %s: %s', (glob, name, expected) => {
    expect(matchesGlob(glob, name)).toBe(expected);
  });

  it('agree with the obvious definition', () => {
    const define = (glob: string, name: string): boolean => {
      if (glob === '') return name === '';
      if (glob[0] === '*') return define(glob.slice(1), name) || (name !== '' && define(glob, name.slice(1)));
      return name !== '' && (glob[0] === '?' || glob[0] === name[0]) && define(glob.slice(1), name.slice(1));
    };
    const letters = (alphabet: string) =>
      fc.array(fc.constantFrom(...alphabet), { maxLength: 8 }).map((list) => list.join(''));
    fc.assert(
      fc.property(
        letters('ab*?'),
        letters('ab'),
        (glob, name) => matchesGlob(glob, name) === define(glob, name),
      ),
    );
  });

  it('take no long time on names made to make them', () => {
    const start = performance.now();
    expect(matchesGlob('*a'.repeat(31) + '*b', 'a'.repeat(64))).toBe(false);
    expect(performance.now() - start).toBeLessThan(100);
  });
});

describe('bearer', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer  abc ', 'abc'],
    ['BEARER a.b-c_d~e+f/g=', 'a.b-c_d~e+f/g='],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer a b', undefined],
    ['Basic abc', undefined],
    ['xBearer abc', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of the header %j is %j', (header, token) => {
    expect(bearerFromHeader(header)).toBe(token);
  });

  const base64url = (text: string): string => Buffer.from(text).toString('base64url');

  it.each([
    [`ringbuf.v1, bearer.${base64url('abc')}`, 'abc'],
    [`bearer.${base64url('zwölf?>')},ringbuf.v1.json`, 'zwölf?>'],
    ['ringbuf.v1', undefined],
    ['bearer', undefined],
    ['bearer.', ''],
    ['bearer.a+b', ''],
    ['', undefined],
    [undefined, undefined],
  ])('of the subprotocols %j is %j', (header, token) => {
    expect(bearerFromSubprotocols(header)).toBe(token);
  });
});
