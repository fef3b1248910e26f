import { parse, type Spec, View } from 'vega';
import { compile, type Config, type TopLevelSpec } from 'vega-lite';
import { withoutControlCharacters } from '../html.js';
import type { Palette } from './palette.js';

/** A figure, ready to be drawn. */
export interface Figure {
  /** What the browser draws again, to answer the pointer. */
  readonly spec: Spec;
  /** The same picture as standalone markup. */
  readonly svg: string;
}

/** A specification with layers, which has the same types as one panel among several. */
export type LayeredSpec = Extract<TopLevelSpec, { layer: unknown }>;

/** How data become marks in one layer. */
export type Encoding = NonNullable<Extract<LayeredSpec['layer'][number], { mark: unknown }>['encoding']>;

/** Draws a Vega-Lite specification in the colours of a palette. */
export async function drawFigure(specification: TopLevelSpec, palette: Palette): Promise<Figure> {
  const { spec } = compile({ ...specification, config: configuration(palette) });
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return { spec, svg: withoutControlCharacters(await view.toSVG()) };
  } finally {
    view.finalize();
  }
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

function configuration(palette: Palette): Config {
  return {
    background: palette.background,
    font: FONT,
    padding: 4,
    view: { stroke: null },
    axis: {
      domainColor: palette.muted,
      gridColor: palette.grid,
      tickColor: palette.muted,
      labelColor: palette.muted,
      titleColor: palette.ink,
      labelFontSize: 11,
      titleFontSize: 12,
      titleFontWeight: 500,
      tickSize: 4,
      domain: false,
      ticks: false,
      labelPadding: 6,
      titlePadding: 8,
    },
    axisX: { grid: false, domain: true, ticks: true, labelFlush: false },
    title: {
      color: palette.ink,
      fontSize: 14,
      fontWeight: 600,
      anchor: 'start',
      subtitleColor: palette.muted,
      offset: 10,
    },
    legend: {
      labelColor: palette.ink,
      titleColor: palette.muted,
      labelFontSize: 12,
      labelLimit: 0,
      titleFontSize: 12,
      titleFontWeight: 500,
    },
    text: { color: palette.muted, fontSize: 11 },
  };
}
