export { alertRules, formatAlertRules, type AlertRules } from './alert-rules.js';
export { alerts, runbookName, type Alert } from './alerts.js';
export { alertsPage } from './alerts-page.js';
