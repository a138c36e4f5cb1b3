import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.close());

describe.each(['/docs', '/docs/'])('GET %s', (page) => {
  it('is a page whose every style sheet, script and picture is served', async () => {
    const answer = await daemon.rest.call('GET', page);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(answer.text).toContain('<title>ringbufd</title>');
    const links = [...answer.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    const types: string[] = [];
    for (const link of links) {
      const { pathname } = new URL(link, `${daemon.url}${page}`);
      const file = await daemon.rest.call('GET', pathname);
      expect(file.status, pathname).toBe(200);
      expect(file.text.length, pathname).toBeGreaterThan(100);
      types.push(String(file.headers['content-type']).split(';')[0]!);
    }
    expect(new Set(types)).toEqual(new Set(['text/css', 'application/javascript', 'image/png']));
  });

  it('has a policy that lets its own scripts run and nothing else', async () => {
    const answer = await daemon.rest.call('GET', page);
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("default-src 'self';");
    expect(policy).toContain("frame-ancestors 'none';");
    // Over plain HTTP on a name that is not localhost it would make the browser ask for every file by HTTPS.
    expect(policy).not.toContain('upgrade-insecure-requests');
    // Such scripts would be blocked by it.
    expect(answer.text).not.toMatch(/<script>|<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=|<style/);
    expect(answer.text).not.toMatch(/https?:\/\//);
  });
});

describe('the script of /docs', () => {
  it('shows the document that the daemon serves', async () => {
    const { text } = await daemon.rest.call('GET', '/docs/static/swagger-initializer.js');
    expect(text).toContain('/json');
    const shown = await daemon.rest.expect(200, 'GET', '/docs/json');
    expect(shown).toEqual(await daemon.rest.expect(200, 'GET', '/openapi.json'));
  });
});
