import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startFaultProxy } from './index.mjs';

let echo;
/** The echo server's end of the newest connection. */
let target;
let proxy;
beforeEach(async () => {
  echo = createServer((socket) => {
    target = socket.on('error', () => undefined);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startFaultProxy({ target: `127.0.0.1:${echo.address().port}` });
});
afterEach(async () => {
  await proxy.close();
  echo.close();
});

const portOf = ({ address }) => Number(address.split(':')[1]);

async function connection() {
  const socket = connect(portOf(proxy), '127.0.0.1').on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function answer(socket, text) {
  socket.write(text);
  const [bytes] = await once(socket, 'data');
  return bytes.toString();
}

it('passes bytes in both directions', async () => {
  const socket = await connection();
  expect(await answer(socket, 'hello')).toBe('hello');
  socket.end();
});

it('passes much, unchanged, and the end after it', async () => {
  const socket = await connection();
  const sent = randomBytes(8 * 2 ** 20);
  const received = [];
  socket.on('data', (bytes) => received.push(bytes));
  proxy.delay(1);
  socket.end(sent);
  await once(socket, 'end');
  expect(Buffer.concat(received).equals(sent)).toBe(true);
});

it('delays each direction, and keeps the order when the delay ends', async () => {
  const socket = await connection();
  await answer(socket, 'warm');
  proxy.delay(100);
  const start = performance.now();
  socket.write('late ');
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.delay(0);
  let received = '';
  socket.on('data', (bytes) => (received += bytes));
  socket.write('and early');
  await expect.poll(() => received).toBe('late and early');
  expect(performance.now() - start).toBeGreaterThanOrEqual(99);
  socket.destroy();
});

it('holds everything back while it stalls, and delivers it afterwards', async () => {
  const socket = await connection();
  proxy.stall();
  let received = '';
  socket.on('data', (bytes) => (received += bytes));
  socket.write('held');
  const second = await connection();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(received).toBe('');
  await proxy.restore();
  await expect.poll(() => received).toBe('held');
  for (const each of [socket, second]) each.destroy();
});

it('drops connections when it is cut, refuses new ones, and takes them again when restored', async () => {
  const socket = await connection();
  const dropped = once(socket, 'error');
  await proxy.cut();
  expect((await dropped)[0].code).toBe('ECONNRESET');
  await expect(connection()).rejects.toThrow(/ECONNREFUSED/);
  await proxy.restore();
  const again = await connection();
  expect(await answer(again, 'hello')).toBe('hello');
  again.destroy();
});

it('drops the connection when the target does', async () => {
  const socket = await connection();
  await answer(socket, 'warm');
  const dropped = once(socket, 'close');
  target.resetAndDestroy();
  await dropped;
});
