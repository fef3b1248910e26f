/** Text that is HTML already. Only the `html` tag and `trustedHtml` make it. */
export interface Html {
  readonly markup: string;
}

type Interpolated = string | number | Html | readonly Html[];

/** A template whose interpolated strings are escaped; what is HTML already stays as it is. */
export function html(strings: TemplateStringsArray, ...values: Interpolated[]): Html {
  return { markup: String.raw({ raw: strings }, ...values.map(markupOf)) };
}

/** Declares text to be HTML. Never for text that a model, a dataset or a file wrote. */
export function trustedHtml(markup: string): Html {
  return { markup };
}

/** Data for a page's script, as the content of a script element of type application/json. */
export function embeddedJson(value: unknown): Html {
  return { markup: JSON.stringify(value).replaceAll('<', '\\u003c') };
}

function markupOf(value: Interpolated): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeText(value);
  if ('markup' in value) return value.markup;
  return value.map(({ markup }) => markup).join('\n');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control characters and halves of surrogate pairs have no place in HTML or XML; they are shown as replaced, not dropped. */
export function withoutControlCharacters(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ud800-\udfff]/gu, '\ufffd');
}

function escapeText(text: string): string {
  return withoutControlCharacters(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
