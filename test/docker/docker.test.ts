import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configFromText } from '../../src/server/config.js';
import { metricFacts } from '../../src/server/metrics-reference.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';

const file = (path: string): URL => new URL(`../../docker/${path}`, import.meta.url);
const read = (path: string): string => readFileSync(file(path), 'utf8');

interface Service {
  image: string;
  profiles?: string[];
  ports?: string[];
  volumes?: string[];
  read_only?: boolean;
}
const compose = parse(read('compose.yaml')) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};

describe('docker/compose.yaml', () => {
  it('has the profiles load, observe and peers, and a daemon without one', () => {
    const byProfile = (profile: string | undefined): string[] =>
      Object.entries(compose.services).flatMap(([name, { profiles }]) =>
        profiles?.[0] === profile ? [name] : [],
      );
    expect(byProfile(undefined)).toEqual(['ringbufd']);
    expect(byProfile('load')).toEqual(['load']);
    expect(byProfile('observe')).toEqual(['prometheus', 'grafana']);
    expect(byProfile('peers')).toEqual(['nats', 'redis', 'mosquitto']);
  });

  it('publishes ports on the loopback address alone: nothing in it asks for a password', () => {
    for (const { ports = [] } of Object.values(compose.services))
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('mounts files that are there and volumes that it declares', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      // A variable stands for its default: ${NAME:-default}.
      volumes.map((volume) => volume.replace(/\$\{\w+:-([^}]*)\}/, '$1').split(':')[0]!),
    );
    for (const source of sources)
      if (source.startsWith('.')) expect(existsSync(file(source)), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
  });

  it('names every image with a version', () => {
    for (const { image } of Object.values(compose.services)) expect(image).toMatch(/:.*[^:]/);
  });
});

describe('docker/Dockerfile', () => {
  it('builds on a Node that the package supports', () => {
    const major = Number(/^ARG NODE_IMAGE=node:(\d+)-[a-z]+-slim$/m.exec(read('Dockerfile'))?.[1]);
    expect(major).toBeGreaterThanOrEqual(20);
    expect(read('compose.yaml')).toContain(`:-node:${major}-`);
  });

  it('runs as a user without rights, with a health check and an init', () => {
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
    expect(read('Dockerfile')).toMatch(/^HEALTHCHECK /m);
    expect(read('Dockerfile')).toMatch(/^ENTRYPOINT \["tini", "--", /m);
  });
});

describe('docker/peers', () => {
  const published = (name: string): string[] =>
    (compose.services[name]!.ports ?? []).map((port) => port.split(':')[2]!);

  it('publishes every port that Mosquitto listens on, one of them without WebSocket', () => {
    const text = read('peers/mosquitto.conf');
    const listeners = [...text.matchAll(/^listener (\d+)\n(protocol websockets)?/gm)];
    expect(listeners.map(([, port]) => port).sort()).toEqual(published('mosquitto').sort());
    // Mosquitto 2.0 ends at once when all its listeners are of WebSockets.
    expect(listeners.map(([, , protocol]) => protocol)).toContain(undefined);
  });

  it('publishes every port that NATS listens on', () => {
    const ports = [...read('peers/nats.conf').matchAll(/\bport: (\d+)/g)].map(([, port]) => port);
    expect(ports.sort()).toEqual(published('nats').sort());
  });
});

describe('docker/grafana', () => {
  it('asks the Prometheus of compose, at the pace at which that one scrapes', () => {
    const { datasources } = parse(read('grafana/provisioning/datasources/prometheus.yaml')) as {
      datasources: [{ uid: string; url: string; jsonData: { timeInterval: string } }];
    };
    const { global } = parse(read('prometheus.yml')) as { global: { scrape_interval: string } };
    expect(datasources[0]).toMatchObject({ uid: 'prometheus', url: 'http://prometheus:9090' });
    expect(datasources[0].jsonData.timeInterval).toBe(global.scrape_interval);
  });

  it('finds the dashboard where compose mounts it', () => {
    const { providers } = parse(read('grafana/provisioning/dashboards/ringbufd.yaml')) as {
      providers: [{ options: { path: string } }];
    };
    const { volumes = [] } = compose.services.grafana!;
    expect(volumes).toContain(`./grafana/dashboards:${providers[0].options.path}:ro`);
  });
});

describe('docker/ringbufd.yaml', () => {
  it('is a configuration without mistakes, reached by the name that compose gives it', () => {
    const { config } = configFromText(read('ringbufd.yaml'));
    expect(config.allowed_hosts).toEqual(['ringbufd']);
    expect(config.maps.map(({ name }) => name)).toEqual(['load']);
    expect(read('prometheus.yml')).toContain("['ringbufd:7890']");
  });
});

describe('the Grafana dashboard', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await startDaemon();
  });
  afterAll(() => daemon.close());

  interface Panel {
    title: string;
    type: string;
    id: number;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string; legendFormat: string }[];
  }
  const dashboard = JSON.parse(read('grafana/dashboards/ringbufd.json')) as {
    panels: Panel[];
    templating: { list: { definition: string }[] };
  };
  const expressions = [
    ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map(({ definition }) => definition),
  ];
  const groupedBy = (expr: string): string[] =>
    [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels]) => labels!.split(', '));
  const labelsIn = (expr: string): string[] => [
    ...groupedBy(expr),
    ...[...expr.matchAll(/(\w+)=~?"/g)].map(([, label]) => label!),
    ...[...expr.matchAll(/^label_values\(\w+, (\w+)\)$/g)].map(([, label]) => label!),
  ];

  it('asks for metrics that exist, and for labels that they have', async () => {
    const { registry } = daemon.app.daemon.events;
    const facts = new Map(metricFacts(registry).map(({ name, labels }) => [name, labels]));
    const exported = await registry.metrics();
    for (const expr of expressions) {
      const names = [...expr.matchAll(/\b((?:ringbufd|process|nodejs)_[a-z_]+)/g)].map(([, name]) =>
        name!.replace(/_bucket$/, ''),
      );
      expect(names, expr).not.toEqual([]);
      const labels = names.flatMap((name) => facts.get(name) ?? []);
      for (const name of names) expect(exported, expr).toContain(`# TYPE ${name} `);
      for (const label of labelsIn(expr)) expect([...labels, 'le', 'job'], expr).toContain(label);
    }
  });

  it('puts into a legend what its expression groups by', () => {
    for (const { targets = [] } of dashboard.panels)
      for (const { expr, legendFormat } of targets) {
        const shown = [...legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label]) => label!);
        // Buckets are folded into a quantile.
        expect(
          groupedBy(expr)
            .filter((label) => label !== 'le')
            .sort(),
          expr,
        ).toEqual(shown.sort());
      }
  });

  it('has a place of its own for every panel, and a number', () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken, title).not.toContain(`${x},${y}`);
          taken.add(`${x},${y}`);
        }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  it('has a panel for what came, what went, what was refused, and how full the rings are', () => {
    const all = expressions.join('\n');
    for (const name of ['samples_accepted', 'samples_drained', 'refused', 'ring_fill_ratio', 'drain_errors'])
      expect(all).toContain(`ringbufd_${name}`);
    for (const { type, title, targets } of dashboard.panels)
      if (type !== 'row') expect(targets?.length, title).toBeGreaterThan(0);
  });
});
