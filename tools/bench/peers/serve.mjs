import { createInterface } from 'node:readline';

/**
 * Carries out what startWorker of worker.mjs sends, one command at a time.
 *
 * @param {Record<string, (given: any) => unknown>} commands by name
 */
export async function serve(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, ...given } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await commands[command](given)) ?? null };
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
