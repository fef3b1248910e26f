import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '@infalign/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadComparisons } from './download.js';
import { loadDataset } from './load-dataset.js';

const dialogues = Array.from({ length: 20 }, (_, index) => {
  const prompt = `\n\nHuman: Question ${index}?\n\nAssistant:`;
  return JSON.stringify({ chosen: `${prompt} Yes.`, rejected: `${prompt} No.` });
});
const content = gzipSync(dialogues.join('\n'));
const source = { hub: 'Anthropic/hh-rlhf', subset: 'harmless-base', split: 'train' };

describe('downloadComparisons', () => {
  let server: Server;
  let cacheFolder: string;
  let hubUrl: string;
  let requests: string[];
  /** Answers the n-th request (from 1). */
  let answer: (response: ServerResponse, attempt: number, request: IncomingMessage) => void;

  beforeEach(async () => {
    requests = [];
    answer = (response) => response.end(content);
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      answer(response, requests.length, request);
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    cacheFolder = await mkdtemp(join(tmpdir(), 'download-'));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    await rm(cacheFolder, { recursive: true });
  });

  const download = () => downloadComparisons(source, { cacheFolder, hubUrl, retryDelayMs: 1 });
  const cached = async () => (await readdir(cacheFolder, { recursive: true })).filter((name) => /\./.test(name));
  const withLength = (response: ServerResponse) => response.writeHead(200, { 'content-length': content.length });

  it("fetches the hub's own file once and finds it again", async () => {
    const file = await download();
    expect(file).toBe(join(cacheFolder, 'Anthropic/hh-rlhf/harmless-base/train.jsonl.gz'));
    expect(await readFile(file)).toEqual(content);
    expect(await download()).toBe(file);
    expect(requests).toEqual(['/datasets/Anthropic/hh-rlhf/resolve/main/harmless-base/train.jsonl.gz']);
    expect(await cached()).toEqual(['Anthropic/hh-rlhf/harmless-base/train.jsonl.gz']);
  });

  it('follows redirections, as the hub makes them', async () => {
    answer = (response, attempt) => {
      if (attempt === 1) response.writeHead(302, { location: '/elsewhere' }).end();
      else response.end(content);
    };
    expect(await readFile(await download())).toEqual(content);
    expect(requests).toHaveLength(2);
  });

  it('tries again after a server error, a broken connection and a download that ends early', async () => {
    answer = (response, attempt) => {
      if (attempt === 1) response.writeHead(503).end();
      else if (attempt === 2) response.destroy();
      else if (attempt === 3) withLength(response).write(content.subarray(0, 50), () => response.destroy());
      else withLength(response).end(content);
    };
    expect(await readFile(await download())).toEqual(content);
    expect(requests).toHaveLength(4);
  });

  it('gives up after four attempts, with a remedy, and leaves nothing behind', async () => {
    answer = (response) => withLength(response).write(content.subarray(0, 50), () => response.destroy());
    await expect(download()).rejects.toThrow(InputError);
    expect(requests).toHaveLength(4);
    await expect(download()).rejects.toThrow(
      /train\.jsonl\.gz: the download failed \(.+\), 4 times; check the network .* or .* name its folder as dataset\.path/,
    );
    expect(await cached()).toEqual([]);
  });

  it('does not try again what cannot be found', async () => {
    answer = (response) => response.writeHead(404).end('no such file');
    await expect(download()).rejects.toThrow(
      `${hubUrl}/datasets/Anthropic/hh-rlhf/resolve/main/harmless-base/train.jsonl.gz: the server answered 404 Not Found; check dataset.hub`,
    );
    expect(requests).toHaveLength(1);
  });

  it('says when nobody answers', async () => {
    await new Promise((closed) => server.close(closed));
    await expect(download()).rejects.toThrow(/the download failed \(.*ECONNREFUSED.*\), 4 times/);
    server.listen(0, '127.0.0.1'); // for the end of the test to close
  });

  it('ends at once when it is told to', async () => {
    const controller = new AbortController();
    answer = (response) =>
      withLength(response).write(content.subarray(0, 50), () => controller.abort(new Error('enough')));
    const downloading = downloadComparisons(source, { cacheFolder, hubUrl, signal: controller.signal });
    await expect(downloading).rejects.toThrow('enough');
    expect(requests).toHaveLength(1);
    expect(await cached()).toEqual([]);
  });

  it('serves loadDataset where no path is given', async () => {
    const options = { seed: 1, heldOutShare: 0.25, cacheFolder, hubUrl };
    const dataset = await loadDataset({ kind: 'hh-rlhf', ...source }, options);
    expect(dataset.trainingTexts).toHaveLength(15);
    expect(dataset.heldOutTexts).toHaveLength(5);
  });
});
