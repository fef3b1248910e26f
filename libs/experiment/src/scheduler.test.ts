import { describe, expect, it } from 'vitest';
import { runSteps, type Step } from './scheduler.js';

function step(name: string, ...dependsOn: string[]): Step {
  return { name, dependsOn };
}

/** Steps that end when told to, and a record of what started and stopped. */
function controlledSteps() {
  const started: string[] = [];
  const stopped: string[] = [];
  const endings = new Map<string, (error?: Error) => void>();
  return {
    started,
    stopped,
    async end(name: string, error?: Error) {
      endings.get(name)!(error);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    start({ name }: Step) {
      started.push(name);
      return {
        finished: new Promise<void>((resolve, reject) => {
          endings.set(name, (error) => (error ? reject(error) : resolve()));
        }),
        stop() {
          stopped.push(name);
          endings.get(name)!(new Error('stopped'));
        },
      };
    },
  };
}

describe('runSteps', () => {
  const diamond = [step('a'), step('b', 'a'), step('c', 'a'), step('d', 'b', 'c'), step('e')];

  it('starts a step when all it depends on is done, and never more than the machine has processes for', async () => {
    const steps = controlledSteps();
    const finished = runSteps(diamond, () => false, { processes: 2, start: steps.start });
    expect(steps.started).toEqual(['a', 'e']);
    await steps.end('a');
    expect(steps.started).toEqual(['a', 'e', 'b']);
    await steps.end('e');
    expect(steps.started).toEqual(['a', 'e', 'b', 'c']);
    await steps.end('b');
    expect(steps.started).toHaveLength(4);
    await steps.end('c');
    expect(steps.started).toEqual(['a', 'e', 'b', 'c', 'd']);
    await steps.end('d');
    await finished;
  });

  it('does not start again what is done', async () => {
    const steps = controlledSteps();
    const finished = runSteps(diamond, ({ name }) => 'abe'.includes(name), { processes: 2, start: steps.start });
    await steps.end('c');
    await steps.end('d');
    await finished;
    expect(steps.started).toEqual(['c', 'd']);
  });

  it('stops what is running when a step fails, starts nothing more, and throws the first error', async () => {
    const steps = controlledSteps();
    const finished = runSteps(diamond, () => false, { processes: 2, start: steps.start });
    finished.catch(() => undefined);
    await steps.end('a', new Error('disk full'));
    await expect(finished).rejects.toThrow('disk full');
    expect(steps.stopped).toContain('e');
    expect(steps.started).toEqual(['a', 'e']);
  });

  it('stops what is running when it is aborted, and throws the reason', async () => {
    const steps = controlledSteps();
    const abort = new AbortController();
    const finished = runSteps(diamond, () => false, { processes: 2, start: steps.start, signal: abort.signal });
    finished.catch(() => undefined);
    abort.abort(new Error('interrupted'));
    await expect(finished).rejects.toThrow('interrupted');
    expect(steps.stopped).toEqual(['a', 'e']);
  });

  it('refuses steps that wait for each other', async () => {
    const circular = [step('a', 'b'), step('b', 'a')];
    await expect(runSteps(circular, () => false, { processes: 1, start: controlledSteps().start })).rejects.toThrow(
      'a, b',
    );
  });
});
