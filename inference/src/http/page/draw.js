// Elements and small drawings. Text only ever becomes text nodes, without what would turn its direction, since pull requests
// are not to be trusted. Colours are classes: the policy of the page allows no inline style.

import { printable } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  const given = children.flat().filter((child) => child !== undefined && child !== null && child !== false);
  node.append(...given.map((child) => (child instanceof Node ? child : printable(child))));
  return node;
}

export const el = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);
const shape = (tag, attributes, ...children) => made(document.createElementNS(SVG, tag), attributes, children);

// A drawing beside text that says the same, so that it is hidden from readers of the text.
const drawing = (width, height, name, ...children) =>
  shape('svg', { viewBox: `0 0 ${width} ${height}`, class: name, 'aria-hidden': 'true' }, ...children);

const rect = (x, y, width, height, name) =>
  shape('rect', { x: x.toFixed(1), y, width: Math.max(width, 0).toFixed(1), height, class: name });
const line = (x1, y1, x2, y2, name) => shape('line', { x1: x1.toFixed(1), y1, x2: x2.toFixed(1), y2, class: name });
const diamond = (x, y, size, name) =>
  shape('path', { d: `M${x.toFixed(1)} ${y - size}l${size} ${size}l-${size} ${size}l-${size} -${size}z`, class: name });
const label = (x, y, anchor, name, text) =>
  shape('text', { x: x.toFixed(1), y, 'text-anchor': anchor, class: name }, text);

// Places values between 0 and 1; `far` draws what is far away nearer, by the logarithm.
function axis(from, to, far) {
  const bend = (value) => (far ? Math.log1p(Math.max(value, 0)) : value);
  const [low, high] = [bend(from), bend(to)];
  return (value) => (high > low ? Math.min(Math.max((bend(value) - low) / (high - low), 0), 1) : 0.5);
}

// A figure that a reader wants first, with lines or a drawing about it.
export const tile = (name, value, ...about) => el('div', {}, el('dt', {}, name),
  el('dd', {}, value, about.map((line) => (line instanceof Node ? line : el('small', {}, line)))));

// A table in a box that scrolls sideways where it is too wide. `#` begins the header of a column of numbers.
export function table(caption, headers, rows, name = '') {
  const isNumber = headers.map((header) => header.startsWith('#'));
  const cell = (content, index) =>
    el(index === 0 ? 'th' : 'td', { scope: index === 0 && 'row', class: isNumber[index] && 'n' }, content);
  const head = headers.map((header, index) =>
    el('th', { scope: 'col', class: isNumber[index] && 'n' }, header.replace('#', '')));
  return el('div', { class: `box ${name}`, tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, head)),
      el('tbody', {}, rows.map((row) => el('tr', {}, row.map(cell))))));
}

// A share as a bar from the left.
export const bar = (share, name = 'one') =>
  drawing(100, 6, 'bar', rect(0, 0, 100, 6, 'track'), rect(0, 0, 100 * Math.min(Math.max(share, 0), 1), 6, `fill ${name}`));

// Whether a value is shown by its logarithm: things that are counted, where the largest is far from the usual.
export const isFar = (value, usual, unit) =>
  !['share', 'bits', 'doublings', 'spreads'].includes(unit) && Math.min(value, usual.low) >= 0 &&
  Math.max(value, usual.high) > 8 * Math.max(usual.median, 1);

// A value beside what is usual: the range of 5% to 95%, a tick at the median, a diamond at the value.
export function strip(value, usual, far) {
  const [low, high] = [Math.min(value, usual.low), Math.max(value, usual.high)];
  const place = axis(low, high, far);
  const x = (value) => 8 + 224 * place(value);
  const outside = value < usual.low || value > usual.high;
  return drawing(240, 18, 'strip',
    line(8, 9, 232, 9, 'axis'),
    rect(x(usual.low) - 1, 5, x(usual.high) - x(usual.low) + 2, 8, 'range'),
    line(x(usual.median), 2, x(usual.median), 16, 'median'),
    diamond(x(value), 9, 6, outside ? 'fill mark two' : 'fill mark one'));
}

// How the model's scores are spread, from their quantiles, and where this one lies.
export function density(quantiles, score, bands) {
  const [width, height, top, bottom] = [360, 170, 34, 138];
  const at = (percentile) => quantiles[Math.min(Math.max(Math.round(percentile), 0), quantiles.length - 1)];
  const to = Math.max(1.25 * at(99), 1.04 * score);
  const place = axis(0, to, to > 5 * at(99));
  const x = (value) => 8 + (width - 16) * place(value);
  // A curve of Gaussian kernels, each at the middle between two quantiles.
  const middles = quantiles.slice(1).map((value, index) => x((value + quantiles[index]) / 2));
  const mean = middles.reduce((sum, value) => sum + value, 0) / middles.length;
  const spread = Math.sqrt(middles.reduce((sum, value) => sum + (value - mean) ** 2, 0) / middles.length);
  const kernel = Math.max(0.3 * spread, 3);
  const heights = Array.from({ length: (width - 16) / 2 + 1 }, (_, index) =>
    middles.reduce((sum, middle) => sum + Math.exp(-(((8 + 2 * index - middle) / kernel) ** 2) / 2), 0));
  const highest = Math.max(...heights);
  const points = heights.map((height, index) => [8 + 2 * index, bottom - ((bottom - top) * height) / highest]);
  const area = (from, until, name) => {
    const within = points.filter(([x]) => x >= from && x <= until);
    if (!within.length) return null;
    const path = within.map(([x, y]) => `${x} ${y.toFixed(1)}`).join('L');
    return shape('path', { d: `M${within[0][0]} ${bottom}L${path}L${within.at(-1)[0]} ${bottom}z`, class: name });
  };
  const [unusual, very, here] = [x(at(bands.unusual)), x(at(bands.very_unusual)), x(score)];
  const anchor = here > width - 70 ? 'end' : here < 70 ? 'start' : 'middle';
  return drawing(width, height, 'density',
    area(0, unusual, 'fill shade'), area(unusual, very, 'fill unusual'), area(very, width, 'fill very'),
    line(8, bottom, width - 8, bottom, 'axis'),
    line(unusual, top, unusual, bottom, 'rule'), line(very, top, very, bottom, 'rule'),
    label(unusual - 4, bottom + 14, 'end', '', `${bands.unusual}%`),
    label(very + 4, bottom + 14, 'start', '', `${bands.very_unusual}%`),
    label(8, bottom + 14, 'start', '', '0'),
    label(width - 8, height - 4, 'end', '', 'anomaly score'),
    line(here, top - 8, here, bottom, 'here'), diamond(here, bottom, 6, 'fill mark'),
    label(here, top - 14, anchor, 'label', `this one: ${score.toFixed(1)}`));
}

// Shares by bin in two rows: those of the training above, those of now below.
export function shares(bins) {
  const largest = Math.max(...bins.flatMap((bin) => [bin.training, bin.now]), 1e-9);
  const step = 130 / bins.length;
  const row = (which, base, name) => bins.map((bin, index) => {
    const height = Math.max((26 * bin[which]) / largest, bin[which] > 0 ? 1 : 0);
    const fill = bin.unknown ? 'fill three' : `fill ${name}`;
    return rect(50 + index * step + 1, base - height, step - 2, height, fill);
  });
  return drawing(180, 64, 'shares',
    label(46, 26, 'end', '', 'training'), line(50, 28, 180, 28, 'axis'), row('training', 28, 'one'),
    label(46, 58, 'end', '', 'now'), line(50, 60, 180, 60, 'axis'), row('now', 60, 'two'));
}
