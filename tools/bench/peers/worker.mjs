import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Starts a process that carries out one command at a time: a JSON object a line on its standard input,
 * `{"command": name, …arguments}`, and for each a line on its standard output, `{"result": …}` or `{"error": message}`.
 * What it writes to standard error is shown. While no command is under way it computes nothing.
 *
 * @param {string} name for messages
 * @param {string} program
 * @param {string[]} programArguments
 * @param {Record<string, string>} environment beside that of this process
 */
export function startWorker(name, program, programArguments, environment) {
  const child = spawn(program, programArguments, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve(`${name}: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`${name} ended while it was needed, with ${signal ?? code}`));
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const fail = exited.then((message) => {
    throw new Error(message);
  });
  fail.catch(() => {});
  child.stdin.on('error', () => {});
  return {
    /**
     * @param {string} command
     * @param {object} [given] its arguments
     * @returns {Promise<any>} its result
     * @throws Error with what the worker says, or if it ends
     */
    async call(command, given = {}) {
      child.stdin.write(`${JSON.stringify({ command, ...given })}\n`);
      const { value, done } = await Promise.race([answers.next(), fail]);
      if (done) return fail;
      const answer = JSON.parse(value);
      if ('error' in answer) throw new Error(`${name}: ${command}: ${answer.error}`);
      return answer.result;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
