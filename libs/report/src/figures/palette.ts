/** The colours of a figure: fixed ones, or the page's own through its style sheet. */
export interface Palette {
  readonly background: string;
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly alarm: string;
  /** One a method, in order; told apart also by people who see fewer colours. */
  readonly series: readonly string[];
}

const light: Palette = {
  background: '#ffffff',
  ink: '#1b1f24',
  muted: '#5c6672',
  grid: '#e6e9ed',
  alarm: '#d1143a',
  series: ['#2f6fde', '#d35f1c', '#12855f', '#9450c4', '#b8336a', '#77741a', '#1f88a8', '#86573a'],
};

const dark: Palette = {
  background: '#14171c',
  ink: '#e9edf2',
  muted: '#98a3b1',
  grid: '#2a3038',
  alarm: '#ff5c7a',
  series: ['#78a8ff', '#f4935c', '#45c99c', '#c493ec', '#f27ca6', '#c9c65e', '#70cbe3', '#cba080'],
};

export const palettes = { light, dark } as const;

/** How many methods have a colour of their own. */
export const seriesCount = light.series.length;

/** The marker of each method, in order: in a figure, and in words. Methods that share a colour differ in it. */
export const seriesMarkers = [
  { shape: 'circle', character: '●' },
  { shape: 'square', character: '■' },
  { shape: 'triangle-up', character: '▲' },
  { shape: 'diamond', character: '◆' },
  { shape: 'triangle-down', character: '▼' },
  { shape: 'stroke', character: '▬' },
] as const;

/** Either of the two fixed palettes. */
export type Theme = keyof typeof palettes;

const names = Object.keys(light).filter((name) => name !== 'series') as (keyof Omit<Palette, 'series'>)[];

/** The colours of the page that a figure stands in: a change of theme needs no new figure. */
export const pagePalette: Palette = {
  background: 'transparent',
  ink: 'var(--ink)',
  muted: 'var(--muted)',
  grid: 'var(--grid)',
  alarm: 'var(--alarm)',
  series: light.series.map((_, index) => `var(--series-${index})`),
};

/** The style sheet's declarations of a fixed palette. */
export function paletteDeclarations(theme: Theme): string {
  const palette = palettes[theme];
  return [
    ...names.map((name) => `--${name}: ${palette[name]};`),
    ...palette.series.map((colour, index) => `--series-${index}: ${colour};`),
  ].join(' ');
}

/** The method's colour: the palette's, in the order of the experiment, over again if there are more. */
export function seriesColours(palette: Palette, count: number): string[] {
  return Array.from({ length: count }, (_, index) => palette.series[index % seriesCount]!);
}
