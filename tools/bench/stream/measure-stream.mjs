import { join } from 'node:path';
import { startCluster } from '../../kafka/index.mjs';
import { median } from '../median.mjs';
import { javaTools } from './java-tools.mjs';
import { ourStream } from './our-stream.mjs';

const producer = 'kafka-producer-perf-test';
const consumer = 'kafka-consumer-perf-test';

/**
 * @param {{ folder: string, rounds: number, mebibytes: number, seconds: number, tell: (text: string) => void }} options
 * @returns {Promise<{ case: string, ours: number, peer: string | null, peer_value: number | null, unit: string, ratio: number | null }[]>}
 */
export async function measureStream({ folder, rounds, mebibytes, seconds, tell }) {
  const cluster = await startCluster({
    folder: join(folder, 'kafka'),
    // A broker that is measured compiles its code to the end, and has room.
    javaOptions: ['-XX:TieredStopAtLevel=4'],
    heapMebibytes: 1024,
    properties: { 'log.retention.bytes': 2 ** 30, 'log.segment.bytes': 2 ** 28 },
  });
  try {
    const [broker] = cluster.brokers.plaintext;
    const ours = ourStream(broker);
    const peer = await javaTools({ broker, folder });
    const rows = [];
    for (const kibibytes of [1, 8]) {
      const recordBytes = kibibytes * 1024;
      const records = Math.floor((mebibytes * 2 ** 20) / recordBytes);
      const warmUp = Math.ceil(records / 4);
      const total = records + warmUp;
      const rates = { producing: [], peerProducing: [], consuming: [], peerConsuming: [], copying: [] };
      for (let round = 1; round <= rounds; round++) {
        const note = (what, rate) => {
          rates[what].push(rate);
          tell(`${kibibytes} KiB, round ${round} of ${rounds}: ${what} ${Math.round(rate)} records/s`);
        };
        const topic = (name) => `${name}-${kibibytes}-${round}`;
        const produced = { records, warmUp, recordBytes };
        await ours.make(topic('peer'));
        note('peerProducing', await peer.produce({ topic: topic('peer'), ...produced }));
        note('producing', await ours.produce({ topic: topic('ours'), ...produced }));
        note('consuming', await ours.consume({ topic: topic('ours'), records: total }));
        note('peerConsuming', await peer.consume({ topic: topic('ours'), records: total }));
        note('copying', await ours.copy({ topic: topic('ours'), records: total }));
      }
      rows.push(
        rateRow(`producing, ${kibibytes} KiB`, rates.producing, producer, rates.peerProducing),
        rateRow(`consuming, ${kibibytes} KiB`, rates.consuming, consumer, rates.peerConsuming),
        rateRow(`transactional stage, ${kibibytes} KiB`, rates.copying),
      );
    }
    tell('three stages at 100 records/s');
    const latencies = await ours.latencies({
      name: 'latency',
      stages: 3,
      recordsPerSecond: 100,
      warmUpSeconds: 20,
      seconds,
    });
    latencies.sort((a, b) => a - b);
    for (const percentile of [50, 99]) {
      const rank = Math.ceil((percentile / 100) * latencies.length) - 1;
      rows.push(row(`three stages at 100 records/s, p${percentile}`, Number(latencies[rank].toFixed(1)), 'ms'));
    }
    return rows;
  } finally {
    await cluster.stop();
  }
}

function rateRow(name, ours, peer, peerRates) {
  const unit = 'records/s';
  if (!peer) return row(name, Math.round(median(ours)), unit);
  const [rate, peerRate] = [median(ours), median(peerRates)];
  return {
    ...row(name, Math.round(rate), unit),
    peer,
    peer_value: Math.round(peerRate),
    ratio: Number((rate / peerRate).toFixed(2)),
  };
}

function row(name, ours, unit) {
  return { case: name, ours, peer: null, peer_value: null, unit, ratio: null };
}
