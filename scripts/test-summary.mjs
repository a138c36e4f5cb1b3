// Prints "N passed, N failed, N skipped" from vitest's JSON report: one plain line for whoever reads the log, last.
import { readFileSync } from 'node:fs';

const report = process.argv[2];
if (report === undefined) throw new Error('usage: test-summary.mjs REPORT.json');
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
  readFileSync(report, 'utf8'),
);
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`);
process.exit(numFailedTests === 0 && numPassedTests > 0 ? 0 : 1);
