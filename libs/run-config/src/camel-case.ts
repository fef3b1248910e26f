type CamelCaseKey<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCaseKey<Tail>>}` : Key;

/** The same value with the keys of all its objects in camel case, read-only throughout. */
export type CamelCase<Value> = Value extends readonly (infer Item)[]
  ? readonly CamelCase<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value as CamelCaseKey<Key>]: CamelCase<Value[Key]> }
    : Value;

function camelCaseKey(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function convert(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camelCaseKey(key), convert(item)]));
}

/** Renames the keys of plain JSON data from `camelCase` (the code) to `snake_case` (the file), at every depth. */
export function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(item),
    ]),
  );
}

/** Renames the keys of plain JSON data from `snake_case` (the file) to `camelCase` (the code), at every depth. */
export function camelCase<Value>(value: Value): CamelCase<Value> {
  return convert(value) as CamelCase<Value>;
}
