import { z } from 'zod';

/** The part of JSON Schema (draft 2020-12) that zod makes of this library's schemas. */
export interface SchemaNode {
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly items?: SchemaNode;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly oneOf?: readonly SchemaNode[];
  readonly default?: unknown;
  readonly description?: string;
  /** Set by the schema where its own words say more than the type does. */
  readonly allowed?: string;
}

/** What may be written into a file for `schema`. */
export function schemaNode(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: 'input' }) as SchemaNode;
}

function range(node: SchemaNode): string {
  const parts: string[] = [];
  if (node.exclusiveMinimum !== undefined) parts.push(`above ${node.exclusiveMinimum}`);
  if (node.minimum !== undefined) parts.push(`at least ${node.minimum}`);
  if (node.exclusiveMaximum !== undefined) parts.push(`below ${node.exclusiveMaximum}`);
  if (node.maximum !== undefined && node.maximum !== Number.MAX_SAFE_INTEGER) parts.push(`at most ${node.maximum}`);
  return parts.length === 0 ? '' : `, ${parts.join(' and ')}`;
}

/** What a field takes, in words: type, range, choices. */
export function allowedValues(node: SchemaNode): string {
  if (node.allowed !== undefined) return node.allowed;
  if (node.const !== undefined) return node.const;
  if (node.enum !== undefined) return node.enum.map(String).join(' or ');
  if (node.oneOf !== undefined) return node.oneOf.map(allowedValues).join(', or ');
  switch (node.type) {
    case 'integer':
      return `a whole number${range(node)}`;
    case 'number':
      return `a number${range(node)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list, not empty, of: ${allowedValues(node.items ?? {})}`;
    case 'object':
      return `a map with ${Object.entries(node.properties ?? {})
        .map(([key, property]) => (property.const === undefined ? key : `${key}: ${property.const}`))
        .join(', ')}`;
    default:
      return 'text, not empty';
  }
}

type ValueAt = (path: readonly PropertyKey[]) => unknown;

/** The schema at `path`; where it is a choice between maps, the one whose constants agree with the file's values. */
function nodeAt(schema: z.ZodType, path: readonly PropertyKey[], valueAt: ValueAt): SchemaNode | undefined {
  let node: SchemaNode | undefined = schemaNode(schema);
  for (let depth = 0; depth <= path.length && node !== undefined; depth++) {
    const options: readonly SchemaNode[] | undefined = node.oneOf;
    if (options !== undefined) {
      const agrees = (option: SchemaNode) =>
        Object.entries(option.properties ?? {}).every(([key, property]) => {
          if (property.const === undefined) return true;
          const written = valueAt([...path.slice(0, depth), key]);
          // A kind that needs not be written is what a map without one has.
          return written === undefined ? !option.required?.includes(key) : written === property.const;
        });
      const chosen: SchemaNode | undefined = options.find(agrees);
      const key = path[depth];
      if (chosen !== undefined) node = chosen;
      else if (key !== undefined) {
        const parts = options.map((option) => option.properties?.[String(key)]).filter((part) => part !== undefined);
        return parts.length === 0 ? undefined : { oneOf: parts };
      }
    }
    const key = path[depth];
    if (key === undefined) return node;
    node = typeof key === 'number' ? node?.items : node?.properties?.[String(key)];
  }
  return node;
}

/** What the field at `path` takes, in words; undefined for a path that the schema does not have. */
export function allowedAt(schema: z.ZodType, path: readonly PropertyKey[], valueAt: ValueAt): string | undefined {
  const node = nodeAt(schema, path, valueAt);
  return node === undefined ? undefined : allowedValues(node);
}

/** The names of the fields of the map at `path`. */
export function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[], valueAt: ValueAt): readonly string[] {
  return Object.keys(nodeAt(schema, path, valueAt)?.properties ?? {});
}
