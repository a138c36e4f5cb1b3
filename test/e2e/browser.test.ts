/** The SDK in a real browser, from a page of another origin. Needs Debian's chromium. */
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashToken } from '../../src/server/tokens.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';

const CHROMIUM = '/usr/bin/chromium';
const hasBrowser = existsSync(CHROMIUM);
const TOKEN = 'page-token';

/** Bundles the SDK for browsers: fails on any node: import. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['test/e2e/browser-page.js'],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    // The types' path mapping names the Node file; a bundler goes by package.json.
    tsconfigRaw: {},
  });
  return outputFiles[0]!.text;
}

function servePage(script: string): Promise<Server> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>');
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('bundles for a browser without any node: module and without ws', async () => {
  const script = await bundle();
  expect(script).toMatch(/new WebSocket\(/);
  expect(script).not.toMatch(/from\s*["'](node:|ws["'])/);
  expect(script).not.toContain('perMessageDeflate');
});

describe.skipIf(!hasBrowser)('a page in a browser (not run without Debian\'s package "chromium")', () => {
  let page: Page;
  let browser: Browser;
  let allowed: Server;
  let foreign: Server;
  let daemon: TestDaemon;

  beforeAll(async () => {
    const script = await bundle();
    [allowed, foreign] = await Promise.all([servePage(script), servePage(script)]);
    daemon = await startDaemon({
      allowed_origins: [originOf(allowed)],
      tokens: [
        { name: 'page', sha256: hashToken(TOKEN), scopes: ['produce:page'] },
        { name: 'operator', sha256: hashToken('operator'), scopes: ['admin'] },
      ],
      maps: [{ name: 'page', max_entries: 4096, handlers: [{ name: 'look', kind: 'capture' }] }],
    });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
      ],
    });
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser.close();
    await daemon.close();
    allowed.close();
    foreign.close();
  });

  it('produces with its token as a subprotocol, and everything it was told is in the ring', async () => {
    await page.goto(originOf(allowed));
    await page.waitForFunction('globalThis.produce');
    const result = await page.evaluate(`produce(${JSON.stringify({ url: daemon.url, token: TOKEN })})`);
    expect(result).toEqual({ accepted: 2, map: 'page', flushed: true });
    const headers = { authorization: 'Bearer operator', 'content-type': 'application/json' };
    const drained = await fetch(`${daemon.url}/v1/maps/page/drain`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ handler: 'look' }),
    });
    expect(await drained.json()).toMatchObject({ ret: 3, discarded: 0 });
  });

  it('learns from the close code that its token is not known', async () => {
    await page.goto(originOf(allowed));
    await page.waitForFunction('globalThis.produceWithoutRights');
    const result = await page.evaluate(
      `produceWithoutRights(${JSON.stringify({ url: daemon.url, token: 'wrong' })})`,
    );
    expect(result).toBe('EPERM');
  });

  it('is refused when its origin is not on the list, whatever token it has', async () => {
    await page.goto(originOf(foreign));
    await page.waitForFunction('globalThis.produceWithoutRights');
    const result = await page.evaluate(
      `produceWithoutRights(${JSON.stringify({ url: daemon.url, token: TOKEN })})`,
    );
    expect(result).toBe('EPERM');
    // The other way in, without a WebSocket: the browser asks first, and is not let through.
    const stored = await page.evaluate(
      `fetch(${JSON.stringify(`${daemon.url}/v1/maps/page/samples`)}, { method: 'POST', body: 'x',
        headers: { 'content-type': 'application/octet-stream' } }).then((r) => r.status, () => 'blocked')`,
    );
    expect(stored).toBe('blocked');
  });
});
