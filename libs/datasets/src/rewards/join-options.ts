import type { LineReading } from './lines.js';

/** How two files of rewards are joined by prompt. */
export interface JoinOptions extends Pick<LineReading, 'signal' | 'progress'> {
  /**
   * About how many bytes the reference rewards may take in memory (8 a reward and 160 a prompt). Beyond it, both files
   * are split by prompt into temporary files and joined part by part: the same result, more slowly.
   */
  readonly memoryBytes: number;
  /** An existing folder. Temporary files go into a new one inside it, which is always removed. */
  readonly temporaryFolder: string;
}
