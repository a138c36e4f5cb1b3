/** What a run must be, said once more slowly: a list of byte values, cut record by record. */
export function slowCheckRun(run: readonly number[], ringSize: number): number {
  const u32 = (at: number) => run.slice(at, at + 4).reduce((sum, byte, i) => sum + byte * 256 ** i, 0);
  let at = 0;
  let records = 0;
  for (; at < run.length; records++) {
    const rest = run.length - at;
    if (rest < 8) return -22;
    const header = u32(at);
    const busyOrDiscarded = header >= 2 ** 30;
    if (busyOrDiscarded || u32(at + 4) !== 0) return -22;
    const total = 8 * Math.ceil((header + 8) / 8);
    if (total > rest) return -22;
    if (total > ringSize || header >= 2 ** 24) return -7;
    if (run.slice(at + 8 + header, at + total).some((byte) => byte !== 0)) return -22;
    at += total;
  }
  return records;
}
