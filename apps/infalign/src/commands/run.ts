import { basename, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { interruptible } from '../interruption.js';
import { createRunProgress } from '../run-progress.js';
import { softwareVersions } from '../software-versions.js';
import { writeStandardOutput } from '../standard-output.js';
import { servicesFileOption } from '../services-options.js';
import { startStepProcess } from '../step-process.js';

interface RunOptions {
  on: 'here' | 'services';
  services: string;
  out?: string;
  resume?: boolean;
  json?: boolean;
}

/** `infalign run`: an experiment, from text to report. */
export function runCommand(): Command {
  return new Command('run')
    .summary('run an experiment, from text to report')
    .description(
      `Runs the experiment that a YAML file describes: trains a base model, a reward model and a judge,
samples reference rollouts, calibrates, and trains a policy by PPO for every transformation and KL strength; then measures
all of them against the exact frontier. Writes results.json and report.html.

Every step keeps what it has done: a run that was cut off, in whatever way, goes on with --resume to the same results. A
finished one may be given other methods, strengths, seeds and procedures, and does by --resume what is not done yet.`,
    )
    .argument('<experiment>', 'the YAML file; docs/experiment.md describes it')
    .option('--out <folder>', 'where everything is written (default: runs/NAME, NAME as in the file)')
    .addOption(
      new Option('--on <place>', 'who samples, scores, calibrates, learns and evaluates: this machine, or services')
        .choices(['here', 'services'])
        .default('here'),
    )
    .addOption(servicesFileOption())
    .option('--resume', 'go on with what an earlier run has left in the folder')
    .option('--json', 'write one JSON object a line: what starts, how far it is, what ends')
    .addHelpText(
      'after',
      `
Examples:
  infalign run experiments/quickstart.yaml
  infalign run experiments/harmlessness-small.yaml --out runs/harmlessness --resume
  infalign up --partitions 1 && infalign run experiments/quickstart.yaml --on services --out runs/on-services`,
    )
    .action(runHere);
}

async function runHere(file: string, options: RunOptions): Promise<void> {
  const { loadExperiment, loadServices } = await import('@infalign/run-config');
  const { runExperiment, planSteps } = await import('@infalign/experiment');
  const experiment = await loadExperiment(file);
  const out = resolve(options.out ?? join('runs', experiment.name));
  const servicesFile = options.on === 'services' ? resolve(options.services) : undefined;
  if (servicesFile !== undefined) await loadServices(servicesFile);
  const progress = createRunProgress(planSteps(experiment).length, options.json === true ? 'json' : 'text');
  const { version, software } = softwareVersions();
  await interruptible(async (signal) => {
    try {
      const finished = await runExperiment({
        experiment,
        out,
        resume: options.resume === true,
        version,
        software,
        signal,
        start: ({ name }) =>
          startStepProcess(name, out, servicesFile, ({ phase, done, total }) =>
            progress.advanced(name, phase, done, total),
          ),
        onStarted: ({ name }) => progress.started(name),
        onFinished: ({ name }, seconds) => progress.finished(name, seconds),
      });
      progress.stop();
      await writeStandardOutput(
        options.json === true
          ? `${JSON.stringify({ event: 'finished', ...finished })}\n`
          : `${basename(file)} is done. Results: ${finished.results}\nReport:  ${finished.report}\n`,
      );
    } finally {
      progress.stop();
    }
  });
}
