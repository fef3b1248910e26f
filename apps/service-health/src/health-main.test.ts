import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RewardScorerServiceService } from '@infalign/contracts';
import { implement, startRpcServer } from '@infalign/rpc';
import { parseServices } from '@infalign/run-config';
import { createLogger } from '@infalign/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { healthMain } from './health-main.js';
import { ownAddress } from './own-address.js';

const base = { stream: { brokers: ['127.0.0.1:9092'] }, store: 'checkpoints' };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'infalign-health-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the program. */
async function health(...args: string[]) {
  let output = '';
  const print = (text: string): void => void (output += text);
  const code = await healthMain({ args, servicesFile: undefined, print, printError: print });
  return { code, output };
}

/** Writes a services file. @returns its path */
function servicesFile(settings: object): string {
  const file = join(folder, 'services.yaml');
  writeFileSync(file, JSON.stringify({ ...base, ...settings }));
  return file;
}

describe('the health of a service of this machine', () => {
  it('is 0 while it serves, 1 while it does not, and 1 when it is gone', async () => {
    const scorer = implement(RewardScorerServiceService, {
      score: () => Promise.resolve({ rollouts: [] }),
      listRewardModels: () => Promise.resolve({ models: [] }),
    });
    const logger = createLogger({ service: 'test', level: 'silent' });
    const server = await startRpcServer({ services: [scorer], host: '127.0.0.1', port: 0, logger });
    const port = Number(server.address.split(':')[1]);
    // Others reach it at an address that does not lead here.
    const file = servicesFile({ services: { reward_scorer: { port, address: 'reward-scorer.invalid:1' } } });
    try {
      expect(await health('reward-scorer', '--config', file)).toEqual({
        code: 0,
        output: `reward-scorer at 127.0.0.1:${port}: SERVING\n`,
      });
      server.setServing('infalign.v1.RewardScorerService', false);
      expect(await health('reward-scorer', '--config', file)).toEqual({
        code: 1,
        output: `reward-scorer at 127.0.0.1:${port}: NOT_SERVING\n`,
      });
    } finally {
      await server.drain(1000);
    }
    expect(await health('reward-scorer', '--config', file)).toEqual({
      code: 1,
      output: expect.stringMatching('ECONNREFUSED') as string,
    });
  });

  it('says what is wrong with its arguments or its file', async () => {
    expect(await health()).toMatchObject({ code: 2 });
    expect(await health('learner')).toMatchObject({ code: 2 });
    expect(await health('toString')).toMatchObject({ code: 2 });
    expect(await health('--help')).toMatchObject({ code: 0 });
    const none = await health('evaluator');
    expect(none.code).toBe(1);
    expect(none.output).toMatch('INFALIGN_SERVICES');
  });
});

it('asks at the own port, on the address that the service listens on, for the name that its certificate has', () => {
  const address = (rpc: object, services: object = {}) =>
    ownAddress(parseServices(JSON.stringify({ ...base, rpc, services }), 'services.yaml'), 'evaluator');
  expect(address({})).toMatchObject({ address: '127.0.0.1:50055' });
  expect(address({ host: '0.0.0.0' })).toMatchObject({ address: '127.0.0.1:50055' });
  expect(address({ host: '::' })).toMatchObject({ address: '[::1]:50055' });
  expect(address({ host: '10.1.2.3' })).toMatchObject({ address: '10.1.2.3:50055' });
  expect(address({}, { evaluator: { address: 'evaluator.team.svc:443', port: 7000 } })).toMatchObject({
    address: '127.0.0.1:7000',
    serverName: 'evaluator.team.svc',
  });
});
