import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RewardScorerServiceService } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { afterAll, describe, expect, it } from 'vitest';
import { makeAuthority } from './certificates.fixture.js';
import { createRpcClient } from './client.js';
import { noRetry } from './retry.js';
import { scorer, scorerClient, serve, thrownBy } from './rpc.fixture.js';
import { startRpcServer } from './server.js';
import { isLoopback, type ClientTls } from './transport-security.js';

const folder = mkdtempSync(join(tmpdir(), 'tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ours = makeAuthority(folder, 'ours');
const theirs = makeAuthority(folder, 'theirs');
const server = ours.issue('server');
const client = ours.issue('client');
const stranger = theirs.issue('stranger');

const services = [scorer()];

async function call(address: string, tls?: ClientTls): Promise<unknown> {
  return scorerClient(address, { retry: noRetry, ...(tls && { tls }) }).listRewardModels({});
}

describe('TLS', () => {
  it('is spoken to clients that trust the authority, by address and by name', async () => {
    const { address, port } = await serve({ services, tls: server });
    expect(await call(address, { caFile: ours.caFile })).toEqual({ models: [] });
    expect(await call(`localhost:${port}`, { caFile: ours.caFile })).toEqual({ models: [] });
  });

  it('is not spoken to clients that trust another, or speak none', async () => {
    const { address } = await serve({ services, tls: server });
    expect(await thrownBy(call(address, { caFile: theirs.caFile }))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await thrownBy(call(address, {}))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await thrownBy(call(address))).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('with a client authority asks for a certificate of it', async () => {
    const { address } = await serve({ services, tls: { ...server, clientCaFile: ours.caFile } });
    expect(await call(address, { caFile: ours.caFile, ...client })).toEqual({ models: [] });
    for (const tls of [{ caFile: ours.caFile }, { caFile: ours.caFile, ...stranger }]) {
      expect(await thrownBy(call(address, tls))).toMatchObject({ code: 'UNAVAILABLE' });
    }
  });

  it('may be listened with off loopback', async () => {
    const { port } = await serve({ services, tls: server, host: '0.0.0.0' });
    expect(await call(`127.0.0.1:${port}`, { caFile: ours.caFile })).toEqual({ models: [] });
  });
});

describe('without TLS', () => {
  it.each(['0.0.0.0', '::', '10.1.2.3', 'example.org'])('a server refuses to listen on %s', async (host) => {
    const error = await thrownBy(startRpcServer({ services, host, port: 0 }));
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toMatch(`will not listen on ${host} without TLS`);
    expect((error as Error).message).toMatch('allow-off-loopback');
  });

  it('a server listens off loopback where that is asked for', async () => {
    const { port } = await serve({ services, host: '0.0.0.0', plaintext: 'allow-off-loopback' });
    expect(await call(`127.0.0.1:${port}`)).toEqual({ models: [] });
  });

  it.each(['scorer:50051', 'dns:///scorer:50051', '10.0.0.1:50051', 'ipv4:127.0.0.1:1,10.0.0.1:1', '[fd00::1]:50051'])(
    'a client refuses to call %s',
    (address) => {
      const make = () => createRpcClient(RewardScorerServiceService, { address });
      expect(make).toThrow(InputError);
      expect(make).toThrow(`will not call ${address} without TLS`);
      createRpcClient(RewardScorerServiceService, { address, plaintext: 'allow-off-loopback' }).close();
    },
  );

  it.each(['127.0.0.1:50051', 'localhost:50051', 'dns:///localhost:1', '[::1]:50051', 'unix:/run/scorer.sock'])(
    'a client calls %s',
    (address) => createRpcClient(RewardScorerServiceService, { address }).close(),
  );

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['localhost', true],
    ['127.evil.example', false],
    ['0.0.0.0', false],
    ['localhost.example', false],
    ['', false],
  ])('%j is on loopback: %j', (host, expected) => expect(isLoopback(host)).toBe(expected));
});

describe('a file that cannot be used', () => {
  const missing = join(folder, 'missing.pem');
  const text = join(folder, 'text.pem');
  writeFileSync(text, 'no certificate');

  it.each([
    ['certificateFile', missing, 'the certificate cannot be read (ENOENT)'],
    ['keyFile', missing, 'the private key cannot be read (ENOENT)'],
    ['clientCaFile', missing, 'the certificate authority cannot be read (ENOENT)'],
    ['certificateFile', folder, 'the certificate cannot be read (EISDIR)'],
    ['certificateFile', text, 'is no certificate in PEM format'],
    ['keyFile', client.keyFile, 'cannot be used for TLS'],
  ])('as %s of a server is named: %s %s', async (setting, file, problem) => {
    const error = await thrownBy(startRpcServer({ services, port: 0, tls: { ...server, [setting]: file } }));
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(file);
    expect((error as Error).message).toContain(problem);
  });

  it.each([
    [{ caFile: missing }, missing],
    [{ ...client, keyFile: server.keyFile }, server.keyFile],
    [{ certificateFile: client.certificateFile }, 'certificateFile and keyFile, or neither'],
  ])('of a client is named: %j', (tls, problem) => {
    const make = () => createRpcClient(RewardScorerServiceService, { address: '127.0.0.1:1', tls });
    expect(make).toThrow(InputError);
    expect(make).toThrow(problem);
  });

  it.skipIf(process.getuid?.() === 0)('may be one that this user must not read', async () => {
    const { keyFile } = ours.issue('private');
    chmodSync(keyFile, 0);
    const error = await thrownBy(startRpcServer({ services, port: 0, tls: { ...server, keyFile } }));
    expect((error as Error).message).toContain('cannot be read (EACCES)');
  });
});

describe('an address', () => {
  it('that is taken is an input error that names it', async () => {
    const { address, port } = await serve({ services });
    const error = await thrownBy(startRpcServer({ services, port }));
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(`${address}: cannot listen there`);
  });

  it('of IPv6 is written as clients want it', async ({ skip }) => {
    const { address } = await serve({ services, host: '::1' }).catch(() => skip('this machine has no IPv6'));
    expect(await call(address)).toEqual({ models: [] });
  });
});
