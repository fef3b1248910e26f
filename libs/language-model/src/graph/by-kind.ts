/** What is made for each of some kinds, when it is first asked for. */
export interface ByKind<Kind, Made> {
  of(kind: Kind): Made;
  /** All that has been made so far. */
  made(): readonly Made[];
}

/** @param make kinds with the same JSON are the same to it */
export function byKind<Kind, Made>(make: (kind: Kind) => Made): ByKind<Kind, Made> {
  const all = new Map<string, Made>();
  return {
    of(kind) {
      const key = JSON.stringify(kind);
      let found = all.get(key);
      if (!found) all.set(key, (found = make(kind)));
      return found;
    },
    made: () => [...all.values()],
  };
}
