import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InputError } from '@infalign/core';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MetricReader, type IMetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { latestOfGauges } from './latest-of-gauges.js';
import type { Logger } from './logger.js';
import { metrics, prometheusName, type MetricName } from './metrics.js';

/** Answers Prometheus. */
export interface ScrapeEndpoint {
  /** Gives it what it answers. */
  readonly reader: IMetricReader;
  /** Where it is asked. */
  readonly url: string;
  close(): Promise<void>;
}

const path = '/metrics';
/** How long metrics are looked up for an answer; those that take longer are missing in it. */
const lookMs = 5000;

/** Collects when it is asked. */
class PulledReader extends MetricReader {
  protected onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Opens a web server that answers `GET /metrics` in Prometheus's text format.
 *
 * @param port 0 takes a free one
 * @throws InputError if it cannot listen there
 */
export async function scrapeEndpoint(host: string, port: number, logger: Logger): Promise<ScrapeEndpoint> {
  const reader = new PulledReader({ aggregationTemporalitySelector: latestOfGauges });
  const serializer = new PrometheusSerializer(undefined, false, /^service\.name$/, false, true);
  let collecting: Promise<string> | undefined;

  async function collected(): Promise<string> {
    const { resourceMetrics, errors } = await reader.collect({ timeoutMillis: lookMs });
    if (errors.length > 0) logger.warn({ err: errors[0], errors: errors.length }, 'metrics could not be looked up');
    return serializer.serialize(inPrometheusNames(resourceMetrics));
  }

  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== path) return void answer(response, 404, `metrics are at ${path}\n`);
    if (request.method !== 'GET') return void answer(response, 405, 'GET only\n');
    // However many ask at a time, it is looked up once.
    collecting ??= collected().finally(() => (collecting = undefined));
    collecting.then(
      (text) => answer(response, 200, text),
      (error: unknown) => {
        logger.warn({ err: error }, 'metrics could not be collected');
        answer(response, 500, 'metrics could not be collected\n');
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new InputError(
          `${host}:${port}: cannot serve metrics there (${error.message}); choose a free port and an address of this machine`,
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    reader,
    url: `http://${name}:${address.port}${path}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
}

/** OpenTelemetry's serializer leaves units out of names. */
function inPrometheusNames(collected: ResourceMetrics): ResourceMetrics {
  return {
    ...collected,
    scopeMetrics: collected.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => {
        const { name } = metric.descriptor;
        if (!(name in metrics)) return metric;
        return { ...metric, descriptor: { ...metric.descriptor, name: prometheusName(name as MetricName) } };
      }),
    })),
  };
}
