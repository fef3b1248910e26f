import type { Interval } from './results.js';

/** A procedure as people call it. */
export function procedureTitle(procedure: string): string {
  if (procedure === 'standard') return 'One sample';
  const [, kind, n] = /^(bon|won):(\d+)$/.exec(procedure) ?? [];
  if (kind === 'bon') return `Best of ${n}`;
  if (kind === 'won') return `Worst of ${n}`;
  const [, rank, draws] = /^kth:(\d+)\/(\d+)$/.exec(procedure) ?? [];
  if (rank !== undefined && draws !== undefined) return `Number ${rank} of ${draws}`;
  return procedure;
}

/** A method as people call it: PPO on a transformation of the calibrated reward is CTRL. */
export function methodTitle(method: string): string {
  const [, plain, references, corrected] = /^(.*?)(?:\/k:(\d+))?(\/corrected)?$/.exec(method) ?? [];
  if (plain !== undefined && plain !== method) {
    const parts = [methodTitle(plain), references && `K = ${references}`, corrected && 'corrected'];
    return parts.filter((part) => part).join(', ');
  }
  const [, algorithm, reward] = /^(\w+)\/(.+)$/.exec(method) ?? [];
  if (algorithm === undefined || reward === undefined) return algorithmTitles.get(method) ?? method;
  const title = rewardTitle(reward);
  if (algorithm !== 'ppo') return `${algorithm.toUpperCase()}, ${title}`;
  return reward === 'raw' || reward === 'identity' ? `PPO, ${title}` : `CTRL, ${title}`;
}

const algorithmTitles: ReadonlyMap<string, string> = new Map([
  ['dpo', 'DPO'],
  ['ipo', 'IPO'],
  ['bonbon', 'BoNBoN'],
  ['best-of-n', 'Base policy, best of n samples'],
]);

function rewardTitle(reward: string): string {
  if (reward === 'raw') return 'raw reward';
  if (reward === 'identity') return 'calibrated reward';
  const [, exponent] = /^exp:(.+)$/.exec(reward) ?? [];
  if (exponent !== undefined) return `exp ${exponent.replace('-', '\u2212')}`;
  const [, procedure] = /^fp:(.+)$/.exec(reward) ?? [];
  if (procedure !== undefined) return `optimal for ${procedureTitle(procedure).toLowerCase()}`;
  return reward;
}

/** With a true minus sign and a fixed number of decimals. */
export function decimal(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '\u2212');
}

/** Of any size, with three significant digits. */
export function compactNumber(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (magnitude >= 1e5 || magnitude < 1e-4) return value.toExponential(2).replaceAll('-', '\u2212');
  return decimal(value, Math.max(0, 2 - Math.floor(Math.log10(magnitude))));
}

/** A share as a percentage with one decimal. */
export function percent(value: number): string {
  return `${decimal(100 * value, 1)} %`;
}

/** Half the width of an interval. */
export function halfWidth({ low, high }: Interval): number {
  return (high - low) / 2;
}

/** A whole number with thousands apart. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/** "1 policy", "3 policies". */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${grouped(count)} ${count === 1 ? singular : plural}`;
}

/** "a, b and c". */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Seconds as hours, minutes and seconds. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${decimal(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** Bytes as GiB or MiB. */
export function byteSize(bytes: number): string {
  return bytes >= 2 ** 30 ? `${decimal(bytes / 2 ** 30, 1)} GiB` : `${decimal(bytes / 2 ** 20, 0)} MiB`;
}
