import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { makeAuthority } from './certificates.fixture.js';
import { askHealth } from './health.js';
import { scorer, serve } from './rpc.fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'infalign-health-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const name = 'infalign.v1.RewardScorerService';

it('is asked of all services of a server, or of one', async () => {
  const { address, setServing } = await serve({ services: [scorer()] });
  expect(await askHealth({ address })).toBe('SERVING');
  setServing(name, false);
  expect(await askHealth({ address }, name)).toBe('NOT_SERVING');
  await expect(askHealth({ address }, 'infalign.v1.NoService')).rejects.toThrow(
    'unknown for service infalign.v1.NoService',
  );
});

it('is asked with TLS of a server whose certificate has another name than its address', async () => {
  const authority = makeAuthority(folder, 'authority');
  const { caFile } = authority;
  const { address } = await serve({ services: [scorer()], tls: authority.issue('server') });
  const asked = (serverName: string) => askHealth({ address, tls: { caFile }, serverName, deadlineMs: 5000 });
  expect(await asked('localhost')).toBe('SERVING');
  await expect(asked('reward-scorer.example')).rejects.toThrow('reward-scorer.example');
});
