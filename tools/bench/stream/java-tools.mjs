import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { provisionKafka } from '../../kafka/index.mjs';
import { java } from '../../kafka/jars.mjs';

/** Kafka's own tools against one broker. @param {{ broker: string, folder: string }} where */
export async function javaTools({ broker, folder }) {
  const jars = await provisionKafka();
  const consumerSettings = join(folder, 'consumer.properties');
  writeFileSync(consumerSettings, 'isolation.level=read_committed\n');

  function run(tool, args) {
    return new Promise((resolve, reject) => {
      const command = ['-Xmx512m', '-cp', join(jars, '*'), `org.apache.kafka.tools.${tool}`, ...args];
      const child = spawn(java, command, { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      let errors = '';
      child.stdout.on('data', (text) => (output += text));
      child.stderr.on('data', (text) => (errors += text));
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve(output) : reject(new Error(`${tool} ended with code ${code}:\n${errors}${output}`)),
      );
    });
  }

  return {
    /** @returns {Promise<number>} records a second, once warm */
    async produce({ topic, records, warmUp, recordBytes }) {
      const output = await run('ProducerPerformance', [
        ...['--bootstrap-server', broker, '--topic', topic, '--throughput', '-1'],
        ...['--num-records', String(records + warmUp), '--warmup-records', String(warmUp)],
        ...['--record-size', String(recordBytes)],
        ...['--command-property', 'acks=all', 'enable.idempotence=true', 'batch.size=262144'],
      ]);
      return numberIn(/([\d.]+) records\/sec/, summary(output), output);
    },

    /** @returns {Promise<number>} records a second, from the moment on when it may fetch */
    async consume({ topic, records }) {
      const output = await run('ConsumerPerformance', [
        ...['--bootstrap-server', broker, '--topic', topic, '--num-records', String(records)],
        ...['--command-config', consumerSettings, '--hide-header'],
      ]);
      // Start, end, MB, MB/s, records, records/s, rebalancing ms, fetching ms, MB/s and records/s while fetching.
      const fields = output.trim().split('\n').at(-1).split(',');
      if (Number(fields[4]) < records) throw new Error(`ConsumerPerformance read ${fields[4]} of ${records} records.`);
      return numberIn(/([\d.]+)/, fields[9], output);
    },
  };
}

/** The line about all records after the warm-up. */
function summary(output) {
  return output.split('\n').findLast((line) => line.includes('99.9th'));
}

function numberIn(pattern, text, output) {
  const value = Number(pattern.exec(text ?? '')?.[1]);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`No rate is found in what the tool wrote:\n${output}`);
}
