/** What wasm/record-stager.ts exports; described there. Addresses are those of the memory it works in. */
export interface RecordCode {
  stage(
    address: number,
    at: number,
    length: number,
    low: number,
    high: number,
    salt0: number,
    salt1: number,
    salt2: number,
    salt3: number,
    digest: number,
  ): number;
  digestOf(): number;
}
