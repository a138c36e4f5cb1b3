const SECTOR = 512;

/** One 512-byte sector's part of a write. */
export interface Piece {
  readonly sector: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Write {
  readonly id: number;
  readonly pieces: readonly Piece[];
  /** Writes that were in flight when this one began: the disk may get these and this one in any order. */
  readonly beside: ReadonlySet<number>;
}

/** The writes of a file that no sync has brought to the disk, and what a disk may hold of them. */
export class UnsyncedWrites {
  #writes: Write[] = [];
  readonly #inFlight = new Set<number>();

  /** Writes that have begun and not ended. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  begin(id: number, at: number, bytes: Uint8Array): void {
    this.#writes.push({ id, pieces: piecesOf(at, bytes), beside: new Set(this.#inFlight) });
    this.#inFlight.add(id);
  }

  end(id: number): void {
    this.#inFlight.delete(id);
  }

  /** These writes are on the disk now. */
  reach(disk: Uint8Array, ids: ReadonlySet<number>): void {
    for (const { id, pieces } of this.#writes)
      if (ids.has(id)) for (const { at, bytes } of pieces) disk.set(bytes, at);
    this.#writes = this.#writes.filter(({ id }) => !ids.has(id));
  }

  /** The process ends: each write in flight is cut off anywhere, whatever the others have come to. */
  tornWrites(subsets: number, random: () => number): Piece[][] {
    const [first = [], ...others] = this.#writes.map(({ pieces }) => pieces);
    let ways = prefixes(first);
    for (const pieces of others) {
      const ends = [[], [...pieces]];
      const alone = ways.flatMap((way) => ends.map((end) => [...way, ...end]));
      const torn = prefixes(pieces).flatMap((part) => [part, [...ways.at(-1)!, ...part]]);
      const mixed = Array.from({ length: subsets }, () => [
        ...ways[Math.floor(random() * ways.length)]!,
        ...pieces.slice(0, Math.floor(random() * (pieces.length + 1))),
      ]);
      ways = [...alone, ...torn, ...mixed, [...ways.at(-1)!, ...pieces]];
    }
    return ways;
  }

  /**
   * The power fails: none, all, each prefix of the writes in their order and in the other one that they may have got, and
   * subsets in which each sector has got to any of its versions.
   */
  anySectors(subsets: number, random: () => number, everyPrefix: boolean): Piece[][] {
    const ordered = this.#writes.flatMap(({ pieces }) => pieces);
    const ways = everyPrefix ? prefixes(ordered) : [[], ordered];
    const isMixed = this.#writes.some(({ beside }) => beside.size > 0);
    if (everyPrefix && isMixed) ways.push(...prefixes(this.#reordered(() => true)));
    if (ordered.length < 2) return ways;
    for (let subset = 0; subset < subsets; subset++) {
      const pieces = isMixed ? this.#reordered(() => random() < 0.5) : ordered;
      const versions = new Map<number, number>();
      for (const { sector } of pieces) versions.set(sector, (versions.get(sector) ?? 0) + 1);
      for (const [sector, count] of versions) versions.set(sector, Math.floor(random() * (count + 1)));
      ways.push(
        pieces.filter(({ sector }) => {
          const left = versions.get(sector)!;
          versions.set(sector, left - 1);
          return left > 0;
        }),
      );
    }
    return ways;
  }

  /** The writes in an order in which some have overtaken those that they were in flight with. */
  #reordered(overtakes: () => boolean): Piece[] {
    const order = [...this.#writes];
    for (let index = 1; index < order.length; index++) {
      const [before, after] = [order[index - 1]!, order[index]!];
      if (after.beside.has(before.id) && overtakes()) [order[index - 1], order[index]] = [after, before];
    }
    return order.flatMap(({ pieces }) => pieces);
  }
}

function piecesOf(at: number, bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  for (let done = 0; done < bytes.length;) {
    const sector = Math.floor((at + done) / SECTOR);
    const count = Math.min(bytes.length - done, (sector + 1) * SECTOR - at - done);
    pieces.push({ sector, at: at + done, bytes: bytes.subarray(done, done + count) });
    done += count;
  }
  return pieces;
}

function prefixes(pieces: readonly Piece[]): Piece[][] {
  return Array.from({ length: pieces.length + 1 }, (_, length) => pieces.slice(0, length));
}
