import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { InputError } from '@infalign/core';
import { isLoopback, type Plaintext } from '@infalign/rpc';
import type { Services } from '@infalign/run-config';
import { openTelemetry, type Logger, type OpenTelemetry, type Telemetry } from '@infalign/telemetry';
import type { Service } from './service.js';

/**
 * Opens the telemetry of a service, as its settings want it.
 *
 * @param metricsPort instead of the one in the settings
 * @returns nothing where they want none
 * @throws InputError if metrics would go unencrypted over a network, or their address is taken
 */
export async function openServiceTelemetry(
  service: Service,
  services: Services,
  logger: Logger,
  metricsPort = services.services[service.name].metricsPort,
): Promise<OpenTelemetry | undefined> {
  const { otlp, prometheus } = services.telemetry;
  if (!otlp && !prometheus) return undefined;
  if (otlp && !otlp.endpoint.startsWith('https:')) {
    checkPlaintext('telemetry.otlp', 'send telemetry to', new URL(otlp.endpoint).hostname, otlp.plaintext);
  }
  if (prometheus) checkPlaintext('telemetry.prometheus', 'serve metrics on', prometheus.host, prometheus.plaintext);
  const telemetry = await openTelemetry({
    service: service.title,
    instance: `${hostname()}-${process.pid}`,
    ...(otlp && {
      otlp: { endpoint: otlp.endpoint, intervalMs: otlp.intervalSeconds * 1000, traceShare: otlp.traceShare },
    }),
    ...(prometheus && { prometheus: { host: prometheus.host, port: metricsPort } }),
    logger,
  });
  await observeCertificates(services, telemetry);
  return telemetry;
}

function checkPlaintext(setting: string, doing: string, host: string, plaintext: Plaintext): void {
  if (plaintext === 'allow-off-loopback' || isLoopback(host.replace(/^\[(.*)\]$/, '$1'))) return;
  throw new InputError(
    `${setting}: will not ${doing} ${host} without TLS: it could be read on the network; set plaintext to ` +
      'allow-off-loopback where the network is otherwise protected',
  );
}

/** Has it told when the certificates end that a service shows: those that it began with, as they are what it uses. */
async function observeCertificates({ rpc, stream }: Services, telemetry: Telemetry): Promise<void> {
  for (const [use, file] of [
    ['calls', rpc.tls?.certificateFile],
    ['brokers', stream.tls?.certificateFile],
  ] as const) {
    const value = file === undefined ? undefined : await expiry(file);
    if (value === undefined) continue;
    telemetry.observe('infalign.certificate.expiry', () => [
      { value, attributes: { 'infalign.certificate.use': use } },
    ]);
  }
}

/** @returns seconds since 1970; nothing of a file that is no certificate, which is refused where it is to be used */
async function expiry(file: string): Promise<number | undefined> {
  try {
    return Date.parse(new X509Certificate(await readFile(file)).validTo) / 1000;
  } catch {
    return undefined;
  }
}
