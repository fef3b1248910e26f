import { InputError } from '@infalign/core';
import { Command, CommanderError } from 'commander';
import { backupCommand } from './commands/backup.js';
import { calibrateCommand } from './commands/calibrate.js';
import { doctorCommand } from './commands/doctor.js';
import { downCommand } from './commands/down.js';
import { replayCommand } from './commands/replay.js';
import { reportCommand } from './commands/report.js';
import { restoreCommand } from './commands/restore.js';
import { resultsCommand } from './commands/results.js';
import { rollbackCommand } from './commands/rollback.js';
import { runCommand } from './commands/run.js';
import { runStepCommand } from './commands/run-step.js';
import { statusCommand } from './commands/status.js';
import { superviseCommand } from './commands/supervise.js';
import { tailCommand } from './commands/tail.js';
import { theoryCommand } from './commands/theory.js';
import { topicsCommand } from './commands/topics.js';
import { upCommand } from './commands/up.js';
import { upgradeCommand } from './commands/upgrade.js';
import { winRateCommand } from './commands/win-rate.js';
import { Interruption } from './interruption.js';
import { version } from './software-versions.js';

/**
 * Every command of the program, in the order of the help. A command's file imports nothing but `commander`, the
 * mathematics and small files of this folder; what else the command needs is imported when it runs, so that each starts
 * at once.
 */
const COMMANDS: readonly (() => Command)[] = [
  runCommand,
  reportCommand,
  resultsCommand,
  theoryCommand,
  calibrateCommand,
  winRateCommand,
  upCommand,
  topicsCommand,
  statusCommand,
  tailCommand,
  replayCommand,
  upgradeCommand,
  rollbackCommand,
  backupCommand,
  restoreCommand,
  downCommand,
  doctorCommand,
];

const EXIT_USER_MISTAKE = 1;
const EXIT_USAGE = 2;
const EXIT_BUG = 70;

/**
 * Runs the command that the arguments name.
 *
 * @param args - without the interpreter and the script
 * @returns the exit code: 0; 1 for a mistake in the input, told in one message; 2 for one in the arguments; 70 for a
 * defect of the program, told with its stack
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  const program = new Command('infalign')
    .description('Inference-aware alignment of language models: train, measure, and compare with the exact limit.')
    .version(version, '-V, --version', 'show the version')
    .helpCommand('help [command]', 'show the help of a command')
    .helpOption('-h, --help', 'show this help')
    .showHelpAfterError('(--help shows the options, with examples)')
    .exitOverride();
  for (const command of COMMANDS) program.addCommand(command().copyInheritedSettings(program));
  for (const command of [runStepCommand, superviseCommand]) {
    program.addCommand(command().copyInheritedSettings(program), { hidden: true });
  }

  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  // A bare `infalign` shows the help, which commander counts as an error; help that was asked for it does not.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Interruption) {
    process.kill(process.pid, error.signal); // Its handlers are gone: the shell sees that a signal ended the program.
    return EXIT_USER_MISTAKE;
  }
  // Whoever reads the output, such as `head`, has seen enough.
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return 0;
  if (error instanceof InputError) {
    process.stderr.write(`infalign: ${error.message}\n`);
    return EXIT_USER_MISTAKE;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`infalign: this is a defect of infalign, please report it:\n${stack}\n`);
  return EXIT_BUG;
}
