import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Telemetry } from './telemetry.js';

/** How often the event loop is looked at, in milliseconds. */
const resolutionMs = 50;

/** Has the metrics of this process looked up. @returns ends that */
export function observeProcess(telemetry: Telemetry): () => void {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const ends = [
    telemetry.observe('process.memory.usage', () => [{ value: process.memoryUsage.rss(), attributes: {} }]),
    telemetry.observe('v8js.memory.heap.used', () => [{ value: process.memoryUsage().heapUsed, attributes: {} }]),
    telemetry.observe('process.cpu.time', () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6, attributes: {} }];
    }),
    telemetry.observe('process.start.time', () => [{ value: performance.timeOrigin / 1e3, attributes: {} }]),
    telemetry.observe('nodejs.eventloop.delay.p99', () => {
      // What is measured is the time from one look to the next; the first one has not come right after a reset.
      const value = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e9 - resolutionMs / 1e3);
      delay.reset();
      return [{ value, attributes: {} }];
    }),
  ];
  return () => {
    delay.disable();
    for (const end of ends) end();
  };
}
