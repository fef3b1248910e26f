import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../workspace/workspace.mjs';

/**
 * Writes what a benchmark gave to standard output: one JSON object, or a line a row, beside the ratio of the committed
 * baseline. Ratios only are compared: values are of a machine.
 *
 * @param {{ name: string, json: boolean, machine: object, rows: object[] }} result name: of the baseline
 */
export function tellResult({ name, json, machine, rows }) {
  if (json) {
    process.stdout.write(`${JSON.stringify({ machine, rows }, undefined, 2)}\n`);
    return;
  }
  const baseline = baselineRatios(name);
  process.stdout.write(`${JSON.stringify(machine)}\n`);
  for (const row of rows) {
    const before = baseline.get(`${row.case} ${row.peer}`);
    const compared =
      row.peer === null
        ? ''
        : `   ${row.peer}: ${row.peer_value}, ratio ${row.ratio}${before === undefined ? '' : ` (baseline ${before})`}`;
    process.stdout.write(`${row.case.padEnd(36)} ${String(row.ours).padStart(8)} ${row.unit}${compared}\n`);
  }
}

function baselineRatios(name) {
  const file = join(root, 'tools', 'bench', 'baselines', `${name}.json`);
  const { rows } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { rows: [] };
  return new Map(rows.map((row) => [`${row.case} ${row.peer}`, row.ratio]));
}
