import {
  LegendDisplayMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { prometheusLabel, prometheusName } from '@infalign/telemetry';
import type { DashboardDescription } from './dashboards.js';
import type { Panel } from './metric-panel.js';

const tag = 'infalign';
/** The data source that is chosen on the dashboard. */
const source = { type: 'prometheus', uid: '$source' };
/** Of the 24 columns of a dashboard. */
const panelColumns = 8;
const panelRows = 8;

/** A dashboard as Grafana stores and provisions it. */
export function grafanaDashboard({ name, title, description, rows }: DashboardDescription): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(`infalign-${name}`)
    .description(description)
    .tags([tag])
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder(tag).type(DashboardLinkType.Dashboards).tags([tag]).keepTime(true).includeVars(true))
    .withVariable(new DatasourceVariableBuilder('source').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('run')
        .label('Run')
        .datasource(source)
        .query(`label_values(${prometheusName('infalign.rollouts')}, ${prometheusLabel('infalign.run.id')})`)
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .allValue('.*')
        .current({ selected: true, text: 'All', value: '$__all' }),
    );
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(timeSeries(panel));
  }
  return builder.build();
}

function timeSeries({ title, description, unit, queries }: Panel): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .description(description)
    .datasource(source)
    .unit(unit)
    .span(panelColumns)
    .height(panelRows)
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.List))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  queries.forEach(({ expression, legend }, index) => {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index))
      .expr(expression)
      .legendFormat(legend)
      .range();
    panel.withTarget(query);
  });
  return panel;
}
