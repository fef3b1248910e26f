import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import type { ComparisonRow, ExperimentResults, MethodRow, ResultRow } from '@infalign/report';
import { Command } from 'commander';
import { parseNumericOption } from '../numeric-option.js';
import { writeStandardOutput } from '../standard-output.js';
import { textTable } from '../text-table.js';

interface ResultsOptions {
  kl: string[];
  baseline?: string;
  figure?: string;
  json?: boolean;
}

/** `infalign results`: the numbers of a finished experiment, and its methods at the same KL. */
export function resultsCommand(): Command {
  return new Command('results')
    .summary('show the numbers of a finished experiment, and compare its methods at the same KL')
    .description(
      `Shows what a finished experiment measured: each run under each inference-time procedure, with its KL, its win rate over
the base policy by the proxy and by the judge, the best win rate there is at its KL (the frontier), and its efficiency,
(win rate − ½) / (frontier − ½); the base policy under best-of-n beside them. Then what each method reaches at the same
KL, as a mean over seeds, and the differences between methods, with 95 % intervals over prompts and seeds; beside them what
a policy would reach that is exactly optimal for the method's reward, and the differences of these.

Everything is taken from results.json. docs/results-files.md tells how methods are compared, and what the fields are.`,
    )
    .argument('<folder>', 'folder of the experiment, as given to run --out, or a results.json')
    .option(
      '--kl <nats>',
      'a KL to compare the methods at; may be repeated (default: the target KLs)',
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option('--baseline <method>', 'compare every method with this one only, such as ppo/identity or best-of-n')
    .option('--figure <file>', 'also write the picture of KL against win rate, as SVG')
    .option('--json', 'write one JSON object and nothing else')
    .addHelpText(
      'after',
      `
Examples:
  infalign results runs/quickstart
  infalign results runs/quickstart --kl 0.5 --baseline ppo/identity
  infalign results runs/quickstart --figure frontier.svg
  infalign results runs/quickstart --json`,
    )
    .action(showResults);
}

async function showResults(path: string, options: ResultsOptions): Promise<void> {
  const kls = options.kl.map((text) => parseNumericOption('--kl', text, 'a number above 0', (value) => value > 0));
  const { matchMethods, renderFrontierFigure, resultRows } = await import('@infalign/report');
  const results = await readResults(path);
  if (options.figure !== undefined) {
    writeFileAtomically(options.figure, await renderFrontierFigure(results, { theme: 'light' }));
  }
  const rows = resultRows(results);
  const matched = matchMethods(results, {
    ...(kls.length > 0 && { kls }),
    ...(options.baseline !== undefined && { baseline: options.baseline }),
  });
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify({ rows, ...matched })}\n`
      : results.procedures
          .map((procedure) => {
            const of = <Row extends { procedure: string }>(all: readonly Row[]): readonly Row[] =>
              all.filter((row) => row.procedure === procedure);
            return `${procedure}\n${runsTable(of(rows))}${matchedTables(of(matched.methods), of(matched.comparisons))}`;
          })
          .join('\n'),
  );
}

async function readResults(path: string): Promise<ExperimentResults> {
  const { parseResults } = await import('@infalign/report');
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'results.json') : path;
  if (!existsSync(file)) {
    throw new InputError(
      `${file}: is not there. Name the folder of a finished experiment; one that is not finished goes on with ` +
        '`infalign run EXPERIMENT --out FOLDER --resume`.',
    );
  }
  return parseResults(readFileSync(file, 'utf8'), file);
}

function runsTable(rows: readonly ResultRow[]): string {
  return textTable(
    ['method', 'seed', 'asked for', 'KL', 'win rate', '95 % interval', 'frontier', 'efficiency', 'by the judge'],
    rows.map((row) => [
      row.n === null ? row.method : `best-of-${row.n}`,
      row.seed === null ? '–' : String(row.seed),
      askedFor(row),
      row.kl.toFixed(3),
      percent(row.win_rate),
      range(row.ci_low, row.ci_high),
      percent(row.frontier),
      decimals(row.efficiency),
      percent(row.judge_win_rate),
    ]),
  );
}

function askedFor({ target_kl, beta }: ResultRow): string {
  if (target_kl !== null) return `KL ${target_kl}`;
  return beta === null ? '–' : `β ${Number(beta.toPrecision(3))}`;
}

function matchedTables(methods: readonly MethodRow[], comparisons: readonly ComparisonRow[]): string {
  if (methods.length === 0) return 'No KL was asked for: give one with --kl to compare the methods at.\n';
  const notes = methods.filter(({ note }) => note !== null);
  return [
    'at the same KL, mean over seeds\n',
    textTable(
      [
        'method',
        'KL',
        'seeds',
        'win rate',
        '95 % interval',
        'its optimum',
        'efficiency',
        '95 % interval',
        'by the judge',
        '95 % interval',
      ],
      methods.map((row) => [
        row.method,
        String(row.kl),
        String(row.seeds),
        percent(row.win_rate),
        range(row.ci_low, row.ci_high),
        percent(row.optimum),
        decimals(row.efficiency),
        row.efficiency === null ? '–' : `${decimals(row.efficiency_low)} to ${decimals(row.efficiency_high)}`,
        percent(row.judge_win_rate),
        range(row.judge_ci_low, row.judge_ci_high),
      ]),
    ),
    ...notes.map(({ method, kl, note }) => `  ${method} at ${kl}: ${note}\n`),
    comparisons.length === 0 ? '' : 'differences, in percentage points\n',
    comparisons.length === 0
      ? ''
      : textTable(
          ['difference', 'KL', 'by the proxy', '95 % interval', 'of the optima', 'by the judge', '95 % interval'],
          comparisons.map((row) => [
            `${row.method} − ${row.baseline}`,
            String(row.kl),
            points(row.difference),
            `${points(row.ci_low)} to ${points(row.ci_high)}`,
            points(row.optimum_difference),
            points(row.judge_difference),
            row.judge_difference === null ? '–' : `${points(row.judge_ci_low)} to ${points(row.judge_ci_high)}`,
          ]),
        ),
  ].join('');
}

function percent(share: number | null): string {
  return share === null ? '–' : `${(100 * share).toFixed(1)} %`;
}

function range(low: number | null, high: number | null): string {
  return low === null || high === null ? '–' : `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}`;
}

function decimals(value: number | null): string {
  return value === null ? '–' : value.toFixed(3).replace('-', '−');
}

/** A difference of shares, signed. */
function points(share: number | null): string {
  if (share === null) return '–';
  const text = Math.abs(100 * share).toFixed(1);
  if (Number(text) === 0) return text;
  return share > 0 ? `+${text}` : `−${text}`;
}
