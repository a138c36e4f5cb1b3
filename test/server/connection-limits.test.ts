import { describe, expect, it } from 'vitest';
import { ConnectionLimits } from '../../src/server/connection-limits.js';
import { RingbufdError } from '../../src/server/errors.js';

function refusalOf(enter: () => unknown): string | undefined {
  try {
    enter();
  } catch (error) {
    if (error instanceof RingbufdError) return `${error.key}: ${error.detail}`;
    throw error;
  }
  return undefined;
}

describe('connection limits', () => {
  it('refuse the connection after the last one, and take another when one has left', () => {
    const limits = new ConnectionLimits(2, 2);
    const leave = limits.enter('a');
    limits.enter('b');
    expect(refusalOf(() => limits.enter('c'))).toBe('LIMIT_CONNECTIONS: 2 connections are open');
    expect(limits.total).toBe(2);
    leave();
    expect(refusalOf(() => limits.enter('c'))).toBeUndefined();
  });

  it('count each address on its own', () => {
    const limits = new ConnectionLimits(10, 1);
    const leave = limits.enter('a');
    expect(refusalOf(() => limits.enter('a'))).toBe('LIMIT_CONNECTIONS: 1 connections from a are open');
    expect(refusalOf(() => limits.enter('b'))).toBeUndefined();
    leave();
    expect(refusalOf(() => limits.enter('a'))).toBeUndefined();
  });

  it('give a place back once, however often the connection says that it left', () => {
    const limits = new ConnectionLimits(10, 1);
    const leave = limits.enter('a');
    leave();
    limits.enter('a');
    leave();
    leave();
    expect(limits.total).toBe(1);
    expect(refusalOf(() => limits.enter('a'))).toMatch(/LIMIT_CONNECTIONS/);
  });
});
