/** Wakes those who wait for a change. */
export interface Signal {
  /** Tells of a change: to those who wait, or, where nobody does, to the next who will. */
  raise(): void;
  /** Resolves when a change has been told, or after the time. */
  wait(timeoutMs: number): Promise<void>;
}

/** A signal that has not been raised. */
export function createSignal(): Signal {
  const waiting = new Set<() => void>();
  let raised = false;
  return {
    raise() {
      raised = waiting.size === 0;
      for (const wake of waiting) wake();
    },
    wait(timeoutMs) {
      if (raised) {
        raised = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        waiting.add(wake);
      });
    },
  };
}
