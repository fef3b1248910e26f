// Courses as pictures: lag over replicas, a column a scenario.
const width = 960;
const [left, top, gap, panelHeight] = [64, 44, 26, 130];
const colours = { 'policy-sampler': '#1f6fb4', 'reward-scorer': '#c2571a', calibrator: '#3d8f4f' };

/**
 * An SVG of one scenario: what waits at each stage in seconds of its arrivals' work, and its replicas.
 *
 * @param {string} title
 * @param {readonly import('./simulate.mjs').StageCourse[]} courses of a second a step
 */
export function courseFigure(title, courses) {
  const seconds = courses[0].lag.length;
  const x = (second) => left + ((width - left - 20) * second) / seconds;
  const panels = [
    { label: 'rollouts that wait', of: ({ lag }) => lag },
    { label: 'replicas', of: ({ replicas }) => replicas },
  ];
  const parts = panels.map(({ label, of }, row) => {
    const offset = top + row * (panelHeight + gap);
    const most = niceMaximum(Math.max(...courses.map((course) => of(course).reduce((a, b) => Math.max(a, b), 0))));
    const y = (value) => offset + panelHeight * (1 - value / most);
    const lines = courses.map((course) => {
      const points = [];
      for (let second = 0; second < seconds; second += 5) {
        points.push(`${x(second).toFixed(1)},${y(of(course)[second]).toFixed(1)}`);
      }
      return `<polyline fill="none" stroke="${colours[course.name]}" stroke-width="1.6" points="${points.join(' ')}"/>`;
    });
    const ticks = [0, most / 2, most].map(
      (value) =>
        `<line x1="${left}" x2="${width - 20}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>` +
        `<text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${value.toLocaleString('en')}</text>`,
    );
    return [...ticks, ...lines, `<text x="${left + 6}" y="${offset + 12}" fill="#666">${label}</text>`].join('\n');
  });
  const bottom = top + 2 * panelHeight + gap;
  const minutes = [0, 10, 20, 30, 40, 50, 60]
    .filter((minute) => minute * 60 <= seconds)
    .map((minute) => `<text x="${x(minute * 60)}" y="${bottom + 18}" text-anchor="middle">${minute}</text>`);
  const legend = courses.map(
    ({ name }, index) => `<text x="${left + 240 + index * 130}" y="24" fill="${colours[name]}">${name}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 40}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="${left}" y="24" font-size="15">${title}</text>
${[...legend, ...parts, ...minutes].join('\n')}
<text x="${width / 2}" y="${bottom + 34}" text-anchor="middle">minutes</text>
</svg>
`;
}

/** The least of 1, 2 and 5 times a power of ten that is no less. */
function niceMaximum(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value);
}
