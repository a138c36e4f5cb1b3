/** Who wants to know that there may be something to drain. */
export interface MapObserver<Map> {
  /** Output, submit, discard, write, commit, an expired lease, a new handler. */
  changed(map: Map): void;
  /** The handler with the auto trigger has changed, may drain or may not any more, or there is none. */
  triggerChanged(map: Map): void;
  /** A drain has ended: its duration, for the histogram. */
  drained(map: Map, handler: string, seconds: number): void;
  /** A batch handler has answered: how long that took, for the histogram. */
  batched(map: Map, handler: string, seconds: number): void;
  handlerRemoved(map: Map, handler: string): void;
  /** A change was refused because of a drain; whoever asked for it will ask again. */
  foundBusy(map: Map): void;
  /** A handler could take now what it had to refuse. */
  handlerReady(map: Map, handler: string): void;
  /** The map is closed: nothing of it is to be kept. */
  closed(map: Map): void;
}
