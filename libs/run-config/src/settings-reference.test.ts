import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { experimentSchema } from './experiment-schema.js';
import { servicesSchema } from './services-schema.js';
import { settingsReference } from './settings-reference.fixture.js';

const generated = `It is
generated from the schema that the program checks files with; a test keeps the two the same.`;

const pages = [
  {
    name: 'docs/experiment.md',
    schema: experimentSchema,
    introduction: `# The experiment file

An experiment is one YAML file; [\`experiments/\`](../experiments) has examples. This page lists every setting. ${generated}

A file needs \`name\`, \`dataset\` and \`runs\`; everything else has a default. A setting that does not exist, a value out of
range and settings that contradict each other are errors, which name the line, and nothing is run.
`,
  },
  {
    name: 'docs/services-file.md',
    schema: servicesSchema,
    introduction: `# The services file

One YAML file tells all services, and those who call them, where they run; [services.md](services.md) shows how it is used. This
page lists every setting. ${generated}

A file needs \`stream.brokers\` and \`store\`; everything else has a default. Paths are relative to the file.
`,
  },
];

describe.each(pages)('$name', ({ name, schema, introduction }) => {
  it('is what the schema says (after a change of the schema: npx vitest run --project @infalign/run-config -u)', async () => {
    const page = resolve(import.meta.dirname, '../../..', name);
    const reference = settingsReference(introduction, schema);
    const expected = await format(reference, { ...(await resolveConfig(page)), parser: 'markdown' });
    await expect(expected).toMatchFileSnapshot(page);
  });
});

describe('a settings reference', () => {
  it('lists settings at every depth with their ranges and defaults', () => {
    const text = settingsReference('', experimentSchema);
    expect(text).toMatch(/## `judge\.model\.training`/);
    expect(text).toMatch(/\| `clip_epsilon` \| [^|]+ \| a number, above 0 and below 1 \| `0\.2` \|/);
    expect(text).toMatch(/\| `name` \| .* \| required \|/);
    expect(text).toMatch(/\| `methods` +\| [^|]+ \| a list, not empty, of: ppo\/REWARD, [^|]+ \| `\[\"ppo\/identity\"/);
  });
});
