import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { InputError } from '@infalign/core';
import { createLogger } from '@infalign/telemetry';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Authorisation } from './authorisation.js';
import type { CallContext } from './call-context.js';
import { scorer, scorerClient, evaluator, evaluatorClient, serve, thrownBy } from './rpc.fixture.js';
import { readSecretToken, readTokenFile } from './token-file.js';

const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tokens = {
  everything: '0'.repeat(40),
  scorer: '1'.repeat(40),
  method: '2'.repeat(40),
  nothingHere: '3'.repeat(40),
  unknown: '4'.repeat(40),
};
const files = Object.fromEntries(
  Object.entries(tokens).map(([name, token]) => {
    const file = join(folder, `${name}.token`);
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    return [name, file];
  }),
);
const tokenFile = join(folder, 'tokens.json');
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
writeFileSync(
  tokenFile,
  JSON.stringify({
    tokens: [
      { name: 'operator', file: 'everything.token', allow: ['*'] },
      { name: 'learner', sha256: sha256(tokens.scorer), allow: ['infalign.v1.RewardScorerService/*'] },
      { name: 'lister', sha256: sha256(tokens.method), allow: ['infalign.v1.RewardScorerService/ListRewardModels'] },
      { name: 'other', sha256: sha256(tokens.nothingHere), allow: ['infalign.v1.CalibratorService/*'] },
    ],
  }),
);

function server(
  authorisation: Authorisation = { tokenFile },
  handle: (context: CallContext) => void = () => undefined,
) {
  return serve({
    services: [
      scorer({
        listRewardModels: (_, context) => {
          handle(context);
          return Promise.resolve({ models: [] });
        },
      }),
      evaluator(),
    ],
    authorisation,
  });
}

/** The status of a call of any method with any metadata. */
async function statusOf(address: string, path: string, authorization: string[]): Promise<keyof typeof status> {
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const metadata = new Metadata();
  for (const value of authorization) metadata.add('authorization', value);
  const bytes = (value: Buffer) => value;
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), metadata, { deadline: Date.now() + 30_000 }, resolve);
  });
  return status[error?.code ?? status.OK] as keyof typeof status;
}

const list = '/infalign.v1.RewardScorerService/ListRewardModels';
const score = '/infalign.v1.RewardScorerService/Score';
const evaluate = '/infalign.v1.EvaluatorService/Evaluate';
const health = '/grpc.health.v1.Health/Check';

describe('a call', () => {
  it.each([
    [list, tokens.everything, 'OK'],
    [score, tokens.everything, 'OK'],
    [list, tokens.scorer, 'OK'],
    [score, tokens.scorer, 'OK'],
    [evaluate, tokens.scorer, 'PERMISSION_DENIED'],
    [list, tokens.method, 'OK'],
    [score, tokens.method, 'PERMISSION_DENIED'],
    [list, tokens.nothingHere, 'PERMISSION_DENIED'],
    [list, tokens.unknown, 'UNAUTHENTICATED'],
    [list, tokens.scorer.slice(0, -1), 'UNAUTHENTICATED'],
    [list, `${tokens.scorer}1`, 'UNAUTHENTICATED'],
    [list, '', 'UNAUTHENTICATED'],
    [health, tokens.unknown, 'OK'],
  ])('of %s with the token %s is answered %s', async (path, token, expected) => {
    const { address } = await server();
    expect(await statusOf(address, path, [`Bearer ${token}`])).toBe(expected);
  });

  it.each([
    [[], 'UNAUTHENTICATED'],
    [[`Basic ${tokens.everything}`], 'UNAUTHENTICATED'],
    [[tokens.everything], 'UNAUTHENTICATED'],
    [[`Bearer ${tokens.everything}, Bearer ${tokens.everything}`], 'UNAUTHENTICATED'],
    [[`bearer ${tokens.everything}`], 'OK'],
  ])('with the headers %j is answered %s', async (headers, expected) => {
    const { address } = await server();
    expect(await statusOf(address, list, headers)).toBe(expected);
  });

  it('says who calls to its handler, and gives the token to nobody', async () => {
    let log = '';
    const contexts: CallContext[] = [];
    const { address } = await serve({
      services: [
        scorer({
          listRewardModels: (_, context) => {
            contexts.push(context);
            return Promise.resolve({ models: [] });
          },
        }),
      ],
      authorisation: { tokenFile },
      logger: createLogger({ service: 's', level: 'debug', destination: { write: (line) => void (log += line) } }),
    });
    await scorerClient(address, { tokenFile: files['scorer'] ?? '' }).listRewardModels({});
    await thrownBy(scorerClient(address, { tokenFile: files['unknown'] ?? '' }).listRewardModels({}));
    await thrownBy(scorerClient(address, { tokenFile: files['nothingHere'] ?? '' }).listRewardModels({}));
    expect(contexts.map(({ caller }) => caller)).toEqual(['learner']);
    expect(log).toContain('"caller":"learner"');
    expect(log).toContain('"caller":"other"');
    for (const token of Object.values(tokens)) {
      expect(log).not.toContain(token);
      expect(JSON.stringify(contexts)).not.toContain(token);
    }
  });

  it('that is refused says why, and what to do', async () => {
    const { address } = await server();
    expect(await thrownBy(scorerClient(address).listRewardModels({}))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_REQUIRED',
      remedy: expect.stringContaining('authorization: Bearer') as string,
    });
    const stream = evaluatorClient(address, { tokenFile: files['scorer'] ?? '' }).evaluate({
      runId: 'r',
      policyVersion: 1,
    });
    expect(await thrownBy(stream[Symbol.asyncIterator]().next())).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'METHOD_NOT_ALLOWED',
      message: expect.stringContaining('the token of learner does not allow it') as string,
      metadata: { caller: 'learner' },
    });
  });

  it('of health needs a token where that is asked for', async () => {
    const { address } = await server({ tokenFile, health: 'any-token' });
    expect(await statusOf(address, health, [])).toBe('UNAUTHENTICATED');
    expect(await statusOf(address, health, [`Bearer ${tokens.nothingHere}`])).toBe('OK');
  });
});

describe('a token file', () => {
  it.each([0o400, 0o440])('may be of mode %o, as a Kubernetes pod sees its secrets', (mode) => {
    const file = join(folder, `${mode}.token`);
    writeFileSync(file, tokens.unknown, { mode });
    expect(readSecretToken(file)).toBe(tokens.unknown);
  });

  const hash = sha256('x');
  const entry = { name: 'n', sha256: hash, allow: ['*'] };
  writeFileSync(join(folder, 'open.token'), '5'.repeat(40), { mode: 0o644 });
  writeFileSync(join(folder, 'short.token'), 'short', { mode: 0o600 });

  it.each([
    ['nonsense', 'is not JSON'],
    ['[]', 'has no tokens'],
    ['{"tokens": []}', 'has no tokens'],
    [[null], 'tokens[0]: is no object'],
    [[entry, { ...entry, name: 'm' }], 'tokens[1]: has the same token as an entry before it'],
    [[{ ...entry, alow: [] }], 'tokens[0]: has the unknown field alow'],
    [[{ ...entry, name: '' }], 'tokens[0].name'],
    [[{ ...entry, name: 'a b' }], 'tokens[0].name'],
    [[{ ...entry, sha256: 'abc' }], 'give either sha256'],
    [[{ ...entry, file: 'everything.token' }], 'give either sha256'],
    [[{ name: 'n', allow: ['*'] }], 'give either sha256'],
    [[{ name: 'n', file: 'missing.token', allow: ['*'] }], 'missing.token: cannot be read (ENOENT)'],
    [[{ name: 'n', file: 'open.token', allow: ['*'] }], 'open.token: has mode 644'],
    [[{ name: 'n', file: 'short.token', allow: ['*'] }], 'at least 32 visible ASCII characters'],
    [[{ ...entry, allow: [] }], 'tokens[0].allow: list methods'],
    [[{ ...entry, allow: 'x' }], 'tokens[0].allow: list methods'],
    [[{ ...entry, allow: ['infalign.v1.*'] }], 'tokens[0].allow: "infalign.v1.*" is no method'],
    [[{ ...entry, allow: [3] }], 'tokens[0].allow: 3 is no method'],
  ])('of %j is refused: %s', (content, problem) => {
    const file = join(folder, 'bad.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify({ tokens: content }));
    expect(() => readTokenFile(file)).toThrow(InputError);
    expect(() => readTokenFile(file)).toThrow(problem);
    expect(() => readTokenFile(file)).toThrow(folder);
  });

  it('that is missing ends the start of the server', async () => {
    const missing = join(folder, 'missing.json');
    expect(await thrownBy(server({ tokenFile: missing }))).toMatchObject({
      name: 'InputError',
      message: `${missing}: cannot be read (ENOENT); give a file that this program may read`,
    });
  });

  it('may give one name two tokens, so that one can replace the other', () => {
    const file = join(folder, 'rotation.json');
    writeFileSync(file, JSON.stringify({ tokens: [entry, { ...entry, sha256: sha256('y') }] }));
    expect(readTokenFile(file).map(({ name }) => name)).toEqual(['n', 'n']);
  });
});
