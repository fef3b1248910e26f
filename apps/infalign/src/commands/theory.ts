import { Command } from 'commander';
export function theoryCommand(): Command {
  return new Command('theory');
}
