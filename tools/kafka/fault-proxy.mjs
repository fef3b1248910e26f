import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';

/** @type {typeof import('./index.d.mts').startFaultProxy} */
export async function startFaultProxy({ target, port = 0 }) {
  const { hostname, port: targetPort } = new URL(`tcp://${target}`);
  const sockets = new Set();
  const pumps = new Set();
  const state = { delay: 0, stalled: false };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: hostname, port: Number(targetPort), allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      const pump = forward(socket, other, state);
      sockets.add(socket);
      pumps.add(pump);
      // 'close' follows, and tells the other side.
      socket.on('error', () => undefined);
      socket.on('close', (hadError) => {
        sockets.delete(socket);
        pumps.delete(pump);
        if (hadError) other.destroy();
      });
    }
  });
  await listen(server, port);
  const ownPort = server.address().port;

  const refuse = async () => {
    const closed = server.listening ? once(server, 'close') : undefined;
    if (closed) server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };

  return {
    address: `127.0.0.1:${ownPort}`,
    delay(milliseconds) {
      state.delay = milliseconds;
    },
    stall() {
      state.stalled = true;
    },
    cut: refuse,
    async restore() {
      state.stalled = false;
      for (const pump of pumps) pump();
      if (!server.listening) await listen(server, ownPort);
    },
    close: refuse,
  };
}

/**
 * Passes on what arrives, in order, each piece when its time has come.
 *
 * @returns {() => void} to be called when a stall ends
 */
function forward(from, to, state) {
  const pieces = [];
  let timer;
  const pump = () => {
    clearTimeout(timer);
    while (pieces.length > 0 && !state.stalled && !to.destroyed) {
      const wait = pieces[0].due - performance.now();
      if (wait > 0) {
        timer = setTimeout(pump, wait);
        return;
      }
      const { bytes } = pieces.shift();
      if (bytes === undefined) to.end();
      else if (!to.write(bytes)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    }
  };
  const arrived = (bytes) => {
    pieces.push({ bytes, due: performance.now() + state.delay });
    pump();
  };
  from.on('data', arrived);
  from.on('end', () => arrived(undefined));
  return pump;
}

async function listen(server, port) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}
