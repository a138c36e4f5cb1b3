/**
 * A disk that needs longer for a sync, for a daemon as it is built: `node --import ./slower-disk.mjs?ms=5 dist/main.js …`.
 * Every fdatasync, of every thread, ends so many milliseconds later; nobody is held up but who waits for it.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { isMainThread, Worker } from 'node:worker_threads';

const ms = Number(new URL(import.meta.url).searchParams.get('ms'));
const { fdatasync } = fs;

fs.fdatasync = (fd, callback) => fdatasync(fd, (error) => setTimeout(callback, ms, error));

// A thread inherits none of this: the journal's is started with arguments of its own.
if (isMainThread)
  workerThreads.Worker = class extends Worker {
    constructor(file, options = {}) {
      super(file, { ...options, execArgv: [...(options.execArgv ?? []), '--import', import.meta.url] });
    }
  };

syncBuiltinESMExports();
