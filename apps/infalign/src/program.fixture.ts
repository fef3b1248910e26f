import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the program, compiled from the sources as they are. */
    program: string;
  }
}

/**
 * Compiles the program, incrementally, once for all test files: the tests run it as users do, in processes of its own.
 */
export default function buildProgram(project: TestProject): void {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const programs = ['infalign', 'policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'];
  const projects = programs.map((name) => `apps/${name}/tsconfig.lib.json`);
  execFileSync(process.execPath, [compiler, '--build', ...projects], {
    cwd: root,
    stdio: 'inherit',
  });
  project.provide('program', join(root, 'apps', 'infalign', 'bin', 'infalign.js'));
}

/** What a process did. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs the program to its end. Temporary files go to `temporaryFolder`, where a test can look for what was left. */
export function infalign(args: readonly string[], options: { temporaryFolder?: string; input?: string } = {}): Outcome {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [inject('program'), ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, TMPDIR: options.temporaryFolder ?? tmpdir() },
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  return { code: status, signal, stdout, stderr };
}

/** Starts the program and leaves it running. */
export function startInfalign(args: readonly string[], temporaryFolder: string, nodeOptions: readonly string[] = []) {
  const child = spawn(process.execPath, [...nodeOptions, inject('program'), ...args], {
    env: { ...process.env, TMPDIR: temporaryFolder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<Outcome>((resolve) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended };
}

/** A new folder for a test's files, with another for the program's temporary ones. */
export function newTestFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'infalign-cli-test-'));
  const temporaryFolder = join(folder, 'temporary');
  mkdirSync(temporaryFolder);
  const path = (name: string) => join(folder, name);
  return {
    path,
    temporaryFolder,
    write(name: string, content: string | Uint8Array): string {
      writeFileSync(path(name), content);
      return path(name);
    },
    read: (name: string) => readFileSync(path(name), 'utf8'),
    /** Names of all files, those left in the temporary folder included. */
    list: () => readdirSync(folder, { recursive: true }).map(String).sort(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function jsonLines(objects: readonly object[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('');
}
