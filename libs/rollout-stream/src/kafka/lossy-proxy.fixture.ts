import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';

/** What can happen to a request. */
export type Loss =
  /** The broker has carried it out, but its answer is lost, and the connection breaks. */
  | 'answer lost'
  /** The connection breaks, and it reaches the broker only when the client has long given it up. */
  | 'request late'
  /** It reaches the broker later than those. */
  | 'request held up';

/** Stands between a client and the broker, and knows requests from one another. */
export interface LossyProxy {
  /** Lets it happen to the next request of a kind. Resolves when it has happened. */
  lose(apiKey: number, loss: Loss): Promise<void>;
  /** Gives the address back to the cluster's own proxy. */
  close(): Promise<void>;
}

/** How late a late request is, in milliseconds. */
const lateMs = 150;

/** Takes the place of the proxy of a cluster of one broker. */
export async function replaceProxy(cluster: KafkaCluster): Promise<LossyProxy> {
  const { proxy } = cluster.node(1);
  await proxy!.cut();
  const { ports } = JSON.parse(readFileSync(join(cluster.folder, 'cluster.json'), 'utf8')) as {
    ports: { PROXIED: number }[];
  };
  const armed = new Map<string, () => void>();
  const happens = (apiKey: number, loss: Loss): boolean => {
    const told = armed.get(`${apiKey} ${loss}`);
    armed.delete(`${apiKey} ${loss}`);
    told?.();
    return told !== undefined;
  };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const broker = connect({ port: ports[0]!.PROXIED, host: '127.0.0.1', noDelay: true });
    const asked = new Map<number, number>();
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('close', () => setTimeout(() => broker.destroy(), 3 * lateMs));
    broker.on('close', () => client.destroy());
    eachFrame(client, (frame) => {
      const apiKey = frame.readInt16BE(4);
      asked.set(frame.readInt32BE(8), apiKey);
      if (happens(apiKey, 'request late')) {
        client.resetAndDestroy();
        setTimeout(() => broker.write(frame), lateMs);
      } else if (happens(apiKey, 'request held up')) setTimeout(() => broker.write(frame), 2 * lateMs);
      else broker.write(frame);
    });
    eachFrame(broker, (frame) => {
      if (happens(asked.get(frame.readInt32BE(4))!, 'answer lost')) client.resetAndDestroy();
      else client.write(frame);
    });
  });
  server.listen(Number(proxy!.address.split(':')[1]), '127.0.0.1');
  await once(server, 'listening');
  return {
    lose: (apiKey, loss) => new Promise((resolve) => armed.set(`${apiKey} ${loss}`, resolve)),
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      await proxy!.restore();
    },
  };
}

/** Calls back for every request or answer that comes over a socket, its length included. */
function eachFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const frame = pending.subarray(0, 4 + pending.readInt32BE(0));
      pending = pending.subarray(frame.length);
      if (!socket.destroyed) take(frame);
    }
  });
}
