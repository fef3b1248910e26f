// What a collector received, as it is to be judged.

/**
 * @typedef {object} ReceivedSpan
 * @property {string} service
 * @property {string} traceId
 * @property {string} spanId
 * @property {string} parentSpanId empty for the first of a trace
 * @property {string} name
 * @property {Record<string, unknown>} attributes
 * @property {{ traceId: string, spanId: string }[]} links
 */

/** @returns {ReceivedSpan[]} */
export function receivedSpans(resourceSpans) {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId = '', name, attributes = [], links = [] }) => ({
        service: attributesOf(resource.attributes)['service.name'],
        traceId,
        spanId,
        parentSpanId,
        name,
        attributes: attributesOf(attributes),
        links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
      })),
    ),
  );
}

/** Names of metrics by the service that sent them. @returns {Map<string, Set<string>>} */
export function receivedMetrics(resourceMetrics) {
  const names = new Map();
  for (const { resource, scopeMetrics } of resourceMetrics) {
    const service = attributesOf(resource.attributes)['service.name'];
    const own = names.get(service) ?? new Set();
    names.set(service, own);
    for (const { metrics } of scopeMetrics) for (const { name } of metrics) own.add(name);
  }
  return names;
}

function attributesOf(list) {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/** What a record passes on its way from the request to the optimiser's step, each step caused by the one before. */
const way = [
  { service: 'ppo-learner', name: 'send sampling.requests' },
  { service: 'policy-sampler', name: 'process sampling.requests' },
  { service: 'reward-scorer', name: 'process rollout.sampled' },
  { service: 'calibrator', name: 'process rollout.scored' },
  { service: 'ppo-learner', name: 'learn iteration' },
  { service: 'ppo-learner', name: 'optimise' },
];

/** A trace that also has the evaluator's span, below the reward-scorer's. */
const aside = { service: 'evaluator', name: 'process rollout.scored' };

/**
 * Looks for a trace that follows a prompt through all five services.
 *
 * @param {ReceivedSpan[]} spans
 * @returns {{ traceId: string, spans: ReceivedSpan[] } | { problem: string }}
 */
export function followedTrace(spans) {
  const byTrace = grouped(spans);
  let longest = 0;
  for (const [traceId, own] of byTrace) {
    let parent = own.find((span) => is(span, way[0]) && span.parentSpanId === '');
    let steps = parent ? 1 : 0;
    let scorer;
    for (const step of way.slice(1)) {
      parent = parent && own.find((span) => is(span, step) && span.parentSpanId === parent.spanId);
      if (!parent) break;
      if (step.service === 'reward-scorer') scorer = parent;
      steps++;
    }
    longest = Math.max(longest, steps);
    if (steps === way.length && own.some((span) => is(span, aside) && span.parentSpanId === scorer.spanId)) {
      return { traceId, spans: own };
    }
  }
  const reached = way.slice(0, longest).map(({ service, name }) => `${service}: ${name}`);
  return {
    problem: `of ${byTrace.size} traces none passes all five services; one goes as far as [${reached.join(' → ')}]`,
  };
}

function is(span, { service, name }) {
  return span.service === service && span.name === name;
}

function grouped(spans) {
  const groups = new Map();
  for (const span of spans) groups.set(span.traceId, [...(groups.get(span.traceId) ?? []), span]);
  return groups;
}

/**
 * What is wrong with the metrics that arrived.
 *
 * @param {Map<string, Set<string>>} received
 * @param {Record<string, { services: readonly string[] }>} catalogue
 * @returns {string[]}
 */
export function metricProblems(received, catalogue) {
  const problems = [];
  for (const [name, { services }] of Object.entries(catalogue)) {
    for (const service of services) {
      if (!received.get(service)?.has(name)) problems.push(`${name} did not arrive from the ${service}`);
    }
  }
  for (const [service, names] of received) {
    for (const name of names) {
      if (!catalogue[name]?.services.includes(service)) problems.push(`${name} of the ${service} is not documented`);
    }
  }
  return problems;
}
