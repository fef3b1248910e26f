// A collector that hands on what it receives to this process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { provisionCollector } from '../collector/provision-collector.mjs';
import { freePorts } from '../kafka/ports.mjs';

/** How long it may take until it listens. */
const startMs = 120_000;

/**
 * Starts the OpenTelemetry collector.
 *
 * @param {string} folder for its files
 */
export async function startCollector(folder) {
  const program = provisionCollector();
  const [port] = await freePorts(1);
  const received = { '/v1/traces': [], '/v1/metrics': [] };
  const listener = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      received[request.url].push(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const pipeline = { receivers: ['otlp'], exporters: ['otlp_http'] };
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: {
      otlp_http: { endpoint: `http://127.0.0.1:${listener.address().port}`, encoding: 'json', compression: 'none' },
    },
    service: { telemetry: { metrics: { level: 'none' } }, pipelines: { traces: pipeline, metrics: pipeline } },
  };
  const configFile = join(folder, 'collector.yaml');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(config));
  const log = openSync(join(folder, 'collector.log'), 'a');
  const child = spawn(program, [`--config=file:${configFile}`], { stdio: ['ignore', log, log] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let ended = false;
  const exit = once(child, 'exit').then(() => {
    ended = true;
    process.off('exit', kill);
  });
  for (const end = performance.now() + startMs; !(await answers(port)); await sleep(100)) {
    if (!ended && performance.now() < end) continue;
    kill();
    throw new Error(
      `the collector does not start:\n${readFileSync(join(folder, 'collector.log'), 'utf8').slice(-2000)}`,
    );
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    /** All resource spans so far, as OTLP has them. */
    spans: () => received['/v1/traces'].flatMap(({ resourceSpans }) => resourceSpans),
    /** All resource metrics so far. */
    metrics: () => received['/v1/metrics'].flatMap(({ resourceMetrics }) => resourceMetrics),
    async stop() {
      child.kill('SIGTERM');
      await exit;
      listener.close();
      listener.closeAllConnections();
    },
  };
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
