// The arrows of docs/ARCHITECTURE.md: main -> app -> {api, server}; api -> server -> {wire, ring};
// cli -> client -> wire -> ring/errno. Cycles are refused everywhere.
const only = (name, from, allowed, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: `^src/${from}${from.endsWith('ts') ? '$' : '/'}` },
  to: { path: '^src/', pathNot: allowed.map((folder) => `^src/${folder}${/[.$)]/.test(folder) ? '' : '/'}`) },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'ring-imports-nothing',
      severity: 'error',
      comment: 'src/ring is the pure core: no package, no node: module, nothing outside its folder',
      from: { path: '^src/ring/' },
      to: { pathNot: '^src/ring/' },
    },
    {
      name: 'no-node-in-browser-code',
      severity: 'error',
      comment: 'src/wire and src/client run in a browser; only websocket-node.ts may load ws',
      from: { path: '^src/(wire|client)', pathNot: 'websocket-node\\.ts$' },
      to: { dependencyTypes: ['core', 'npm'] },
    },
    only('wire-knows-ring', 'wire', ['wire', 'ring'], 'the codec is shared by daemon and SDK'),
    only(
      'client-knows-wire',
      'client',
      ['client', 'wire', 'ring/(errno|layout)\\.ts$'],
      'the SDK never sees the daemon',
    ),
    only(
      'server-knows-wire-and-ring',
      'server',
      ['server', 'wire', 'ring'],
      'the engine is embeddable without HTTP',
    ),
    only(
      'api-knows-server',
      'api',
      ['api', 'server', 'wire', 'ring'],
      'the control plane is a shell around the engine',
    ),
    only(
      'cli-knows-client',
      'cli',
      [
        'cli',
        'client',
        'wire',
        'ring/errno\\.ts$',
        'server/(config|tokens|names|trigger|request-guard)[a-z-]*\\.ts$',
        'server/journal/(inspect|migrate)\\.ts$',
        'server/errors\\.ts$',
        'version\\.ts$',
      ],
      'commands use the SDK, the configuration and, offline, the journals of a data directory',
    ),
    only(
      'app-composes',
      'app\\.ts',
      ['api', 'server', 'version\\.ts$'],
      'app.ts composes; it does not listen',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
