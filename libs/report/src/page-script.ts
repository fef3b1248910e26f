/**
 * The report's own script, as the browser runs it: each figure, once it comes near the window, is drawn again by Vega from
 * its specification, so that it answers the pointer. The static picture stays if anything fails. Text reaches the page as
 * text only.
 */
export const pageScript = `
'use strict';
(() => {
  const tooltip = document.getElementById('tooltip');
  const showTooltip = (_handler, event, _item, value) => {
    if (value === null || typeof value !== 'object') {
      tooltip.style.display = 'none';
      return;
    }
    tooltip.replaceChildren(
      ...Object.entries(value).map(([key, text]) => {
        const row = document.createElement('div');
        const term = document.createElement('dt');
        const description = document.createElement('dd');
        term.textContent = key;
        description.textContent = String(text);
        row.append(term, description);
        return row;
      }),
    );
    tooltip.style.display = 'block';
    const { width, height } = tooltip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - width - 8);
    const top = event.clientY + 14 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 14;
    tooltip.style.left = Math.max(8, left) + 'px';
    tooltip.style.top = Math.max(8, top) + 'px';
  };
  const draw = async (figure) => {
    const plot = figure.querySelector('.plot');
    const container = document.createElement('div');
    const specification = JSON.parse(figure.querySelector('script').textContent);
    const view = new vega.View(vega.parse(specification), { renderer: 'svg', container, hover: true });
    view.tooltip(showTooltip);
    await view.runAsync();
    plot.replaceChildren(container);
    figure.dataset.drawn = 'yes';
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        draw(target).catch((error) => console.error(error));
      }
    },
    { rootMargin: '400px' },
  );
  for (const figure of document.querySelectorAll('.chart')) observer.observe(figure);
})();
`;
