import { parseServices } from '@infalign/run-config';
import { silentLogger } from '@infalign/telemetry';
import { expect, it } from 'vitest';
import { openServiceTelemetry } from './service-telemetry.js';
import { calibrator } from './calibrator.js';

function opened(telemetry: object, metricsPort?: number) {
  const text = JSON.stringify({ stream: { brokers: ['127.0.0.1:9092'] }, store: 'store', telemetry });
  return openServiceTelemetry(calibrator, parseServices(text, 'services.yaml'), silentLogger, metricsPort);
}

it('there is no telemetry unless it is asked for', async () => {
  expect(await opened({})).toBeUndefined();
  expect(await opened({ log_content: true })).toBeUndefined();
});

it.each([
  [
    { otlp: { endpoint: 'http://collector:4318' } },
    /^telemetry\.otlp: will not send telemetry to collector without TLS.*allow-off-loopback/,
  ],
  [
    { prometheus: { host: '0.0.0.0' } },
    /^telemetry\.prometheus: will not serve metrics on 0\.0\.0\.0 without TLS.*allow-off-loopback/,
  ],
])('nothing leaves this machine unencrypted unless that is allowed by name: %o', async (telemetry, message) => {
  await expect(opened(telemetry)).rejects.toThrow(message);
});

// Each waits for a while at its end, as nobody takes what it has to send.
it.concurrent.each([
  [{ otlp: { endpoint: 'http://[::1]:4318' } }],
  [{ otlp: { endpoint: 'https://collector:4318/otlp' } }],
  [{ otlp: { endpoint: 'http://collector.invalid:4318', plaintext: 'allow-off-loopback' } }],
  [{ prometheus: {} }],
  [{ prometheus: { host: '0.0.0.0', plaintext: 'allow-off-loopback' } }],
])('what stays on this machine, is encrypted, or is allowed goes: %o', async (telemetry) => {
  const open = await opened(telemetry, 0);
  expect(open?.enabled).toBe(true);
  await open?.close();
});

it('a service answers Prometheus under its own name', async () => {
  const open = await opened({ prometheus: {} }, 0);
  expect(await (await fetch(open!.scrapeUrl!)).text()).toContain(
    'process_memory_usage_bytes{service_name="calibrator"}',
  );
  await open!.close();
});
