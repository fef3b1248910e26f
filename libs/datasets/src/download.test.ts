import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '@infalign/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadFile } from './download.js';
import { loadDataset } from './load-dataset.js';
import { tldrFiles } from './tldr.js';
import { comparisonLine, postLine } from './tldr.fixture.js';

const dialogues = Array.from({ length: 20 }, (_, index) => {
  const prompt = `\n\nHuman: Question ${index}?\n\nAssistant:`;
  return JSON.stringify({ chosen: `${prompt} Yes.`, rejected: `${prompt} No.` });
});
const content = gzipSync(dialogues.join('\n'));

describe('downloadFile', () => {
  let server: Server;
  let cacheFolder: string;
  let url: string;
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
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    cacheFolder = await mkdtemp(join(tmpdir(), 'download-'));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    await rm(cacheFolder, { recursive: true });
  });

  const path = 'some/folder/train.jsonl.gz';
  const download = (signal?: AbortSignal) =>
    downloadFile(`${url}/${path}`, join(cacheFolder, path), 'check the settings', { retryDelayMs: 1, signal });
  const cached = async () => (await readdir(cacheFolder, { recursive: true })).filter((name) => /\./.test(name));
  const withLength = (response: ServerResponse) => response.writeHead(200, { 'content-length': content.length });

  it('fetches a file once, as it is, and finds it again', async () => {
    const file = await download();
    expect(file).toBe(join(cacheFolder, path));
    expect(await readFile(file)).toEqual(content);
    expect(await download()).toBe(file);
    expect(requests).toEqual([`/${path}`]);
    expect(await cached()).toEqual([path]);
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
      /train\.jsonl\.gz: the download failed \(.+\), 4 times; check the network .* or download .* name its folder as dataset\.path/,
    );
    expect(await cached()).toEqual([]);
  });

  it('does not try again what cannot be found', async () => {
    answer = (response) => response.writeHead(404).end('no such file');
    await expect(download()).rejects.toThrow(
      `${url}/${path}: the server answered 404 Not Found; check the settings, or download the dataset yourself`,
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
    await expect(download(controller.signal)).rejects.toThrow('enough');
    expect(requests).toHaveLength(1);
    expect(await cached()).toEqual([]);
  });

  it("serves loadDataset with both splits of the hub's own files, the test split held out, where no path is given", async () => {
    const settings = { kind: 'hh-rlhf', hub: 'Anthropic/hh-rlhf', subset: 'helpful-base' } as const;
    answer = (response, _, request) => {
      const lines = request.url!.includes('test') ? dialogues.slice(0, 3) : dialogues.slice(3);
      response.end(gzipSync(lines.join('\n')));
    };
    const options = { seed: 1, heldOutShare: 0.9, cacheFolder, hubUrl: url };
    const dataset = await loadDataset(settings, options);
    expect(requests).toEqual(
      ['train', 'test'].map((split) => `/datasets/Anthropic/hh-rlhf/resolve/main/helpful-base/${split}.jsonl.gz`),
    );
    expect(dataset.heldOutTexts.map((text) => Number(/\d+/.exec(text)))).toEqual([0, 1, 2]);
    expect(dataset.trainingTexts).toHaveLength(17);
    const files = ['test', 'train'].map((split) => `Anthropic/hh-rlhf/helpful-base/${split}.jsonl.gz`);
    expect((await cached()).sort()).toEqual(files);
    expect((await loadDataset(settings, options)).heldOutTexts).toEqual(dataset.heldOutTexts);
    expect(requests).toHaveLength(2);
  });

  it('serves loadDataset with the official files of TL;DR, as the server has them, where no path is given', async () => {
    answer = (response, _, request) => {
      const name = request.url!.slice('/mirror/'.length);
      const number = tldrFiles.indexOf(name);
      const split = name.endsWith('batch22.json') ? 'valid2' : 'train';
      const post = { id: `t3_${number}`, post: `Text of ${name}.` };
      response.end(name.includes('comparisons') ? comparisonLine({ ...post, split }) : postLine(post));
    };
    const options = { seed: 1, heldOutShare: 0.9, cacheFolder };
    const dataset = await loadDataset({ kind: 'tldr', url: `${url}/mirror/` }, options);
    expect(requests).toHaveLength(22);
    expect(requests.slice(0, 2)).toEqual(
      ['batch3', 'batch4'].map((name) => `/mirror/dataset/comparisons/${name}.json`),
    );
    expect(requests.at(-1)).toBe('/mirror/datasets/tldr_3_filtered/test.jsonl');
    const named = (texts: readonly string[]) => texts.map((text) => /(\w+)\.json/.exec(text)![1]);
    expect(named(dataset.heldOutTexts)).toEqual(['batch22', 'valid', 'test']);
    expect(named(dataset.trainingTexts)).toEqual([
      ...Array.from({ length: 18 }, (_, index) => `batch${index + 3}`),
      'train',
    ]);
    const { host } = new URL(url);
    const kept = await readFile(join(cacheFolder, host, 'mirror/datasets/tldr_3_filtered/valid.jsonl'), 'utf8');
    expect(kept).toContain('Text of datasets/tldr_3_filtered/valid.jsonl.');
    await loadDataset({ kind: 'tldr', url: `${url}/mirror` }, options);
    expect(requests).toHaveLength(22);
  });

  it('says that TL;DR is no file of the hub, and how to do without the server', async () => {
    answer = (response) => response.writeHead(409).end();
    const loading = loadDataset({ kind: 'tldr', url }, { seed: 1, heldOutShare: 0.1, cacheFolder });
    await expect(loading).rejects.toThrow(
      `${url}/dataset/comparisons/batch3.json: the server answered 409 Conflict; check dataset.url (the Hugging Face hub ` +
        'has this dataset only as Parquet, which is not read), or download the dataset yourself and name its folder as dataset.path',
    );
  });
});
