import { dirname, resolve } from 'node:path';
import { stringify } from 'yaml';
import { camelCase, snakeCase, type CamelCase } from './camel-case.js';
import { readConfiguration } from './read-configuration.js';
import { servicesSchema, type ServicesFile } from './services-schema.js';
import { readYaml } from './yaml-document.js';

/** Where and how services run: every setting, checked, with its defaults filled in. Plain JSON data. */
export type Services = CamelCase<ServicesFile>;

/** The names of the services, as settings have them. */
export type ServiceName = keyof Services['services'];

/**
 * Reads where services run from the text of the YAML file.
 *
 * @param text the file's text
 * @param fileName the file's name, for messages
 * @throws InputError that lists every problem as `file:line:column: field: what was found; what is allowed`
 */
export function parseServices(text: string, fileName: string): Services {
  const document = readYaml(text, fileName);
  const result = servicesSchema.safeParse(document.value);
  if (!result.success) throw document.rejected(servicesSchema, result.error.issues);
  return camelCase(result.data);
}

/**
 * Reads a services file. The paths in it become absolute: the file writes them relative to its own folder.
 *
 * @throws InputError when the file cannot be read, or as `parseServices` does
 */
export async function loadServices(path: string): Promise<Services> {
  const services = parseServices(await readConfiguration(path, 'a services file'), path);
  const from = dirname(path);
  const store = /^[A-Za-z][A-Za-z0-9+.-]+:/.test(services.store) ? services.store : resolve(from, services.store);
  return { ...absoluteFiles(services, from), store };
}

/** Where services run as the YAML that `parseServices` reads, with every default written out. */
export function formatServices(services: Services): string {
  return stringify(snakeCase(services), { lineWidth: 120 });
}

/** Every setting whose name ends in `File`, and the cache's folder, made absolute. */
function absoluteFiles<Value>(value: Value, from: string): Value {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, item]: [string, unknown]) => [
    key,
    typeof item === 'string' && (key.endsWith('File') || key === 'storeCache')
      ? resolve(from, item)
      : absoluteFiles(item, from),
  ]);
  return Object.fromEntries(entries) as Value;
}
