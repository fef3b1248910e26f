import { drawFigure, palettes, seriesColours } from '@infalign/report';

const palette = palettes.light;

/** What draws the pictures of ablations, by name: each from the results of all, to an SVG that stands alone. */
export const figures = {
  'calibration-error': drawCalibrationError,
  'finite-k-bias': drawFiniteKBias,
  drift: drawDrift,
};

const legend = {
  orient: 'top',
  direction: 'vertical',
  title: null,
  symbolType: 'stroke',
  symbolStrokeWidth: 3,
  symbolOpacity: 1,
};

const measuredMark = { type: 'point', filled: true, size: 46, opacity: 1 };

/** Error against K, beside what needs no references. */
async function drawCalibrationError({ 'calibration-error': { rows }, 'calibrated-reward-model': { rows: estimates } }) {
  const names = ['K references', 'calibrated reward model', 'references of all training prompts together'];
  const colours = seriesColours(palette, names.length);
  const color = {
    field: 'name',
    type: 'nominal',
    scale: { domain: names, range: colours },
    legend,
  };
  const measured = rows.map(({ references, error }) => ({ references, name: names[0], ...error }));
  const levels = [
    { name: names[1], ...estimates.find(({ estimate }) => estimate === 'model').error },
    { name: names[2], ...estimates.find(({ estimate }) => estimate === 'pool').error },
  ];
  const x = {
    field: 'references',
    type: 'quantitative',
    title: 'reference rollouts a prompt, K',
    scale: { type: 'log', nice: false, domain: [rows[0].references * 0.85, rows.at(-1).references * 1.18] },
    axis: { values: rows.map(({ references }) => references) },
  };
  const y = {
    field: 'mean',
    type: 'quantitative',
    title: 'error of calibrated rewards',
    scale: { type: 'log', nice: false, domain: [0.015, 0.2] },
    axis: { values: [0.02, 0.05, 0.1, 0.2], format: '.2f' },
  };
  const bounds = { y: { ...y, field: 'low' }, y2: { field: 'high' } };
  const layer = [
    {
      data: { values: rows.map(({ references, exact_error }) => ({ references, mean: exact_error })) },
      mark: { type: 'line', color: palette.ink, strokeWidth: 1.2, strokeDash: [4, 3] },
      encoding: { x, y },
    },
    { data: { values: levels }, mark: { type: 'rect', opacity: 0.15 }, encoding: { ...bounds, color } },
    { data: { values: levels }, mark: { type: 'rule', strokeWidth: 1.8 }, encoding: { y, color } },
    { data: { values: measured }, mark: { type: 'rule', strokeWidth: 1.5 }, encoding: { x, ...bounds, color } },
    { data: { values: measured }, mark: measuredMark, encoding: { x, y, color } },
  ];
  const title = {
    text: 'Error of calibrated rewards on held-out prompts',
    subtitle: [
      'Root mean square, with 95 % intervals over prompts.',
      'Dashed: 1/√(6K), exact for rewards without ties.',
    ],
  };
  return (await drawFigure({ padding: 16, title, width: 420, height: 260, layer }, palette)).svg;
}

/** Bias against the true calibrated reward: a column for each transformation, a row without and one with the correction. */
async function drawFiniteKBias({ 'finite-k-bias': { by_level } }) {
  const levels = [...new Set(by_level.map(({ references }) => references))];
  const names = levels.map((references) => `K = ${references}`);
  const color = {
    field: 'name',
    type: 'nominal',
    scale: { domain: names, range: seriesColours(palette, names.length) },
    legend: { ...legend, orient: 'bottom', direction: 'horizontal' },
  };
  const panel = (transformation, corrected) => {
    const values = by_level
      .filter((one) => one.transformation === transformation && one.corrected === corrected)
      .map(({ references, from, to, bias, exact_bias }) => ({
        name: `K = ${references}`,
        level: (from + to) / 2,
        exact_bias,
        ...bias,
      }));
    const x = {
      field: 'level',
      type: 'quantitative',
      title: 'true calibrated reward C',
      scale: { domain: [0, 1] },
      axis: { tickCount: 5 },
    };
    const y = { field: 'mean', type: 'quantitative', title: 'bias of Φ(Ĉ)', axis: { tickCount: 5 } };
    return {
      title: `${transformation}${corrected ? ', corrected' : ''}`,
      width: 250,
      height: 190,
      data: { values },
      layer: [
        {
          mark: { type: 'line', strokeWidth: 1.2, strokeDash: [4, 3] },
          encoding: { x, y: { ...y, field: 'exact_bias' }, color },
        },
        {
          mark: { type: 'rule', strokeWidth: 1.5 },
          encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
        },
        { mark: measuredMark, encoding: { x, y, color } },
      ],
    };
  };
  const of = (corrected) => [
    ...new Set(by_level.filter((one) => one.corrected === corrected).map(({ transformation }) => transformation)),
  ];
  const specification = {
    padding: 16,
    title: {
      text: 'Bias of transformed rewards by K references',
      subtitle: [
        'On the scale on which Φ has mean 0 and unit variance; tenths of C, with 95 % intervals over prompts. Dashed: exact.',
      ],
    },
    vconcat: [false, true].map((corrected) => ({
      hconcat: of(corrected).map((transformation) => panel(transformation, corrected)),
    })),
  };
  return (await drawFigure(specification, palette)).svg;
}

/** Error against the references that have arrived since a change: a panel for each kind of change. */
async function drawDrift({ drift: { scenarios, window } }) {
  const panels = [
    ['The reward model changes', { 'reward-model': 'unannounced', 'reward-model-announced': 'announced' }],
    ['The reference policy changes', { temperature: 'another temperature', 'aligned-policy': 'an aligned policy' }],
    ['Prompts are new', { 'new-prompts-hold': 'held', 'new-prompts-pool': 'pooled' }],
  ];
  const every = scenarios.flatMap(({ rows }) => rows.flatMap(({ error }) => (error ? [error.high] : [])));
  const y = {
    field: 'mean',
    type: 'quantitative',
    title: 'error of calibrated rewards',
    scale: { domain: [0, Math.ceil(20 * Math.max(...every)) / 20], nice: false },
    axis: { tickCount: 5 },
  };
  const x = {
    field: 'references_since',
    type: 'quantitative',
    title: 'references a prompt since then',
    axis: { tickCount: 5 },
  };
  const specification = {
    padding: 16,
    title: {
      text: 'Error of calibrated rewards as references arrive after a change',
      subtitle: [
        `A window of ${window} references; bands: 95 % intervals over prompts. Coloured dashes: offline, with the references of before.`,
        'Black dashes: nothing changes.',
      ],
    },
    hconcat: panels.map(([title, labels]) => {
      const values = scenarios.flatMap(({ scenario, rows }) =>
        rows.flatMap(({ references_since, error }) =>
          error && (scenario in labels || scenario === 'none') ? [{ scenario, references_since, ...error }] : [],
        ),
      );
      const own = values
        .filter(({ scenario }) => scenario in labels)
        .map((value) => ({ ...value, name: labels[value.scenario] }));
      const names = Object.values(labels);
      const color = {
        field: 'name',
        type: 'nominal',
        scale: { domain: names, range: seriesColours(palette, names.length) },
        legend,
      };
      const last = Math.max(...own.map(({ references_since }) => references_since));
      const offline = own
        .filter(({ references_since }) => references_since === 0)
        .flatMap((value) => [value, { ...value, references_since: last }]);
      return {
        title,
        width: 250,
        height: 220,
        layer: [
          {
            data: { values: values.filter(({ scenario }) => scenario === 'none') },
            mark: { type: 'line', color: palette.ink, strokeWidth: 1.2, strokeDash: [4, 3] },
            encoding: { x, y },
          },
          {
            data: { values: offline },
            mark: { type: 'line', strokeWidth: 1.2, strokeDash: [4, 3] },
            encoding: { x, y, color },
          },
          {
            data: { values: own },
            mark: { type: 'area', opacity: 0.2, line: false },
            encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
          },
          {
            data: { values: own },
            mark: { type: 'line', strokeWidth: 1.8, point: { size: 30 } },
            encoding: { x, y, color },
          },
        ],
      };
    }),
    resolve: { scale: { color: 'independent' } },
  };
  return (await drawFigure(specification, palette)).svg;
}
