/** ringbufd as a library: the engine to embed, and the app around it. */
export { buildApp, type App } from './app.js';
export { createDaemon, type Daemon, type DaemonOptions } from './server/daemon.js';
export { configFromObject, loadConfig, ConfigError, type Config } from './server/config.js';
export { RingbufdError } from './server/errors.js';
export { VERSION } from './version.js';
