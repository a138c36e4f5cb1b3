// Makes a checkout ready: installs the packages when the lock file has changed, builds dist/ when the sources have.
// Needs nothing but Node and npm; does nothing, quickly, when everything is fresh.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const MIN_NODE = [20, 19];

/** @param {string} message */
function say(message) {
  process.stderr.write(`setup: ${message}\n`);
}

/**
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
function run(what, command, args) {
  say(what);
  const started = Date.now();
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    // The caller's standard output belongs to the caller's command.
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    say(`failed: ${command} ${args.join(' ')}${error ? ` (${error.message})` : ''}`);
    process.exit(1);
  }
  say(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** @param {readonly string[]} files relative to the root */
function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

/** @param {string} file */
function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  say(`Node ${process.versions.node} is too old: ringbufd needs ${MIN_NODE.join('.')} or newer`);
  process.exit(1);
}

const installStamp = join(root, 'node_modules', '.ringbufd-setup');
const wanted = fingerprint(['package.json', 'package-lock.json']);
if (read(installStamp) !== wanted) {
  run('installing packages (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(installStamp, wanted);
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => join('src', file))
  .sort();
const buildStamp = join(root, 'dist', '.ringbufd-setup');
const built = fingerprint([...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
if (read(buildStamp) !== built) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('building dist/', process.execPath, [
    join('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]);
  writeFileSync(buildStamp, built);
}
// npx does this for a command that it has never run from this folder, and for no other: a dist/ that was built anew, behind a
// pull, would be refused with "Permission denied".
chmodSync(join(root, 'dist', 'main.js'), 0o755);
