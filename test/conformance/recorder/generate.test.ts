import { describe, expect, it } from 'vitest';
import { FAMILIES, generateScript, generateScripts } from './generate.js';

describe('script generator', () => {
  it('gives the same script for the same seed and index', () => {
    expect(generateScript(7, 41)).toEqual(generateScripts(7, 3, 40)[1]);
  });

  it('gives other scripts for another seed', () => {
    expect(generateScript(7, 0).slice(1)).not.toEqual(generateScript(8, 0).slice(1));
  });

  it('lets the families take turns', () => {
    const names = generateScripts(1, FAMILIES.length).map((script) => script[0]!.split(' ')[1]!);
    expect(names).toEqual(['managed-1-0', 'raw-1-1', 'wrap-1-2']);
  });

  const scripts = generateScripts(3, 300);

  it('keeps rings between 4 KiB and 1 MiB', () => {
    const sizes = scripts.map((script) => Number(script[0]!.split(' ')[2]));
    expect(Math.min(...sizes)).toBe(4096);
    expect(Math.max(...sizes)).toBe(1 << 20);
  });

  it('keeps scripts short', () => {
    expect(Math.max(...scripts.map((script) => script.length))).toBeLessThanOrEqual(90);
  });

  it('uses only drain flags that a JSON number holds exactly', () => {
    const flags = scripts
      .flat()
      .filter((line) => line.startsWith('drain'))
      .map((line) => line.split(' ')[1]!);
    for (const flag of flags) expect(BigInt(Number(flag))).toBe(BigInt(flag));
  });
});
