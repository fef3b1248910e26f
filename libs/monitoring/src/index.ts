export { alertRules, formatAlertRules, type AlertRules } from './alert-rules.js';
export { alerts, runbookName, type Alert } from './alerts.js';
export { alertsPage } from './alerts-page.js';
export { dashboards, type DashboardDescription, type Row } from './dashboards/dashboards.js';
export { grafanaDashboard } from './dashboards/grafana-dashboard.js';
export { type Panel, type PanelQuery } from './dashboards/metric-panel.js';
