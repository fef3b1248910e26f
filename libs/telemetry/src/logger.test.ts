import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createLogger, silentLogger, type Logger, type LogLevel } from './logger.js';

function recorded(
  level: LogLevel = 'debug',
  content?: boolean,
): {
  logger: Logger;
  lines: () => Record<string, unknown>[];
  text: () => string;
} {
  let text = '';
  const destination = { write: (line: string) => void (text += line) };
  const logger = createLogger({ service: 'calibrator', level, destination, ...(content !== undefined && { content }) });
  const lines = () =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, lines, text: () => text };
}

describe('the log', () => {
  it('is one JSON object a line, with level, time, service, message and fields', () => {
    const { logger, lines } = recorded();
    logger.child({ method: 'Calibrate' }).info({ ms: 12 }, 'call');
    logger.warn({}, 'second');
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
        service: 'calibrator',
        method: 'Calibrate',
        ms: 12,
        message: 'call',
      },
      expect.objectContaining({ level: 'warn', message: 'second' }),
    ]);
  });

  it('leaves out what is below its level', () => {
    const { logger, lines } = recorded('warn');
    logger.debug({}, 'no');
    logger.info({}, 'no');
    logger.error({}, 'yes');
    expect(lines().map(({ message }) => message)).toEqual(['yes']);
  });

  it('goes to standard error by default, and nothing is lost when the process ends at once', () => {
    const program = `
      import { createLogger } from ${JSON.stringify(new URL('./logger.ts', import.meta.url).href)};
      createLogger({ service: 's', level: 'info' }).info({ token: 'hunter2' }, 'last words');
      process.exit(0);
    `;
    const shell = `${process.execPath} --import tsx --input-type=module -e "$PROGRAM" 2>&1 >/dev/null`;
    const output = execFileSync('sh', ['-c', shell], { encoding: 'utf8', env: { ...process.env, PROGRAM: program } });
    expect(JSON.parse(output)).toMatchObject({ message: 'last words', token: '[redacted]' });
  });

  it.each([
    ['token', 'x'],
    ['authToken', 'x'],
    ['auth_token', 'x'],
    ['password', 'x'],
    ['saslPassword', 'x'],
    ['authorization', 'x'],
    ['Authorization', 'x'],
    ['apiKey', 'x'],
    ['api_key', 'x'],
    ['secretAccessKey', 'x'],
    ['accessKeyId', 'x'],
    ['privateKey', Buffer.from('x')],
    ['clientSecret', 'x'],
    ['credentials', { user: 'x' }],
    ['prompt', 'x'],
    ['response', 'x'],
    ['text', 'x'],
    ['promptTokens', [1, 2]],
    ['responseTokens', [1, 2]],
  ])('never shows the value of %s, at any depth, in a child or in an error', (name, value) => {
    const { logger, lines } = recorded();
    const fields = { [name]: value };
    logger.info({ ...fields, a: { b: [fields] }, err: Object.assign(new Error('e'), fields) }, 'm');
    logger.child(fields).info({}, 'm');
    const hidden = { [name]: '[redacted]' };
    expect(lines()).toEqual([
      expect.objectContaining({
        ...hidden,
        a: { b: [hidden] },
        err: expect.objectContaining({ ...hidden, message: 'e' }) as unknown,
      }),
      expect.objectContaining(hidden),
    ]);
  });

  it('shows prompts and responses where it is asked for, at any depth and in children, and secrets not even then', () => {
    const { logger, lines } = recorded('info', true);
    const content = {
      promptTokens: [1, 2],
      response: 'yes',
      a: [{ text: 'x' }],
      err: Object.assign(new Error('e'), { text: 'x' }),
    };
    logger.child({ prompt: 'Who?' }).info({ ...content, token: 'hunter2', note: 'Bearer hunter2' }, 'm');
    expect(lines()[0]).toMatchObject({
      prompt: 'Who?',
      promptTokens: [1, 2],
      response: 'yes',
      a: [{ text: 'x' }],
      err: { text: 'x' },
      token: '[redacted]',
      note: 'Bearer [redacted]',
    });
  });

  it('shows counts of tokens, ids and paths, which are no secrets', () => {
    const { logger, lines } = recorded();
    const fields = { responseTokens: 12, promptId: 'p1', tokenFile: '/run/t', key: 'p1', tokens: 3, rolloutId: 'r' };
    logger.info(fields, 'm');
    expect(lines()[0]).toMatchObject(fields);
  });

  it('hides bearer tokens and passwords of URLs wherever they stand', () => {
    const { logger, text } = recorded();
    const error = new Error('sent Bearer hunter2 to s3', { cause: new Error('kafka://me:hunter2@host/') });
    logger.error({ err: error, note: 'authorization: bearer hunter2' }, 'm');
    expect(text()).not.toContain('hunter2');
    expect(text()).toContain('kafka://[redacted]@host/');
  });

  it('writes errors with type, stack and cause, and survives what JSON cannot hold', () => {
    const { logger, lines } = recorded();
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    logger.error(
      { err: new TypeError('t', { cause: new Error('c') }), loop, large: 10n, bytes: new Uint8Array(9) },
      'm',
    );
    expect(lines()[0]).toMatchObject({
      err: {
        type: 'TypeError',
        message: 't',
        stack: expect.stringContaining('logger.test.ts') as unknown,
        cause: { message: 'c' },
      },
      large: '10',
      bytes: '[9 bytes]',
    });
  });
});

it('the silent logger takes everything and says nothing', () => {
  expect(silentLogger.child({ a: 1 }).info({ b: 2 }, 'm')).toBeUndefined();
});
