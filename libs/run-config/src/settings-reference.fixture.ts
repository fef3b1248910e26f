import type { z } from 'zod';
import { allowedValues, schemaNode, type SchemaNode } from './schema-description.js';

/** A page that lists every setting that a schema has, behind an introduction. */
export function settingsReference(introduction: string, schema: z.ZodType): string {
  const top = Object.entries(schemaNode(schema).properties ?? {});
  const required = schemaNode(schema).required ?? [];
  const plain = top.filter(([, node]) => !isMap(node));
  const sections = top.filter(([, node]) => isMap(node));
  return [
    introduction,
    '## At the top',
    table(plain.map(([name, node]) => row(name, node, required))),
    ...sections.flatMap(([name, node]) => section(name, node)),
  ].join('\n\n');
}

function isMap(node: SchemaNode): boolean {
  return node.properties !== undefined || node.oneOf !== undefined;
}

/**
 * A map's own fields, and the maps within it after it.
 *
 * @param within the kind that the map around it has, where that has kinds
 */
function section(path: string, node: SchemaNode, within = ''): string[] {
  const options = node.oneOf ?? [node];
  const lines = [`## \`${path}\`${within}`, node.description ?? ''];
  for (const option of options) {
    const fields = Object.entries(option.properties ?? {});
    const kind = option.properties?.['kind'];
    if (kind !== undefined) lines.push(`### \`${path}: { kind: ${kind.const} }\``, kind.description ?? '');
    const own = fields.filter(([name, field]) => !isMap(field) && !(kind !== undefined && name === 'kind'));
    if (own.length > 0) lines.push(table(own.map(([name, field]) => row(name, field, option.required))));
    const around = kind === undefined ? '' : ` of kind ${kind.const}`;
    for (const [name, field] of fields) if (isMap(field)) lines.push(...section(`${path}.${name}`, field, around));
  }
  return lines;
}

function row(name: string, node: SchemaNode, required: readonly string[] = []): string[] {
  const fallback =
    node.default !== undefined ? `\`${JSON.stringify(node.default)}\`` : required.includes(name) ? 'required' : 'none';
  return [`\`${name}\``, node.description ?? '', allowedValues(node), fallback];
}

function table(rows: readonly string[][]): string {
  const cells = [['setting', 'what it is', 'allowed', 'default'], ['---', '---', '---', '---'], ...rows];
  return cells.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}
