// One answer for a person: what `prowl score` says on a terminal, with drawings.

import { bar, density, el, isFar, strip, tile } from './draw.js';
import {
  amount, band, counted, day, identity, milliseconds, number, percent, percentile, probability, short,
} from './words.js';

const OF = { REFERENCE_REPOSITORY: ' of this repository', REFERENCE_ALL: ' of all repositories' };

const sure = (share) => (share === undefined ? '' : ` (${percent(share)})`);

// Band, bar and percentile.
function verdict(response) {
  const [words, name] = band(response.band);
  const told = el('span', { class: `band ${name}` }, words);
  if (name === 'unjudged') {
    return tile('How unusual', told, 'the document says nothing of the change: give its size and its files');
  }
  const about = `more unusual than ${percentile(response.percentile)} of pull requests${OF[response.reference] ?? ''}`;
  return tile('How unusual', told, bar(response.percentile / 100, name), about);
}

// The probability, and what became of others of that risk.
function risk(response, model) {
  if (response.risk === undefined) {
    return tile('Risk', '–', `no risk is told: ${model?.missing_heads?.risk ?? 'too little is known'}`);
  }
  const lines = ['that it will be taken back'];
  const of = response.risk_band;
  if (of) {
    const range = of.to < 1 ? `${probability(of.from)} to ${probability(of.to)}` : `${probability(of.from)} or more`;
    lines.push(`of the ${of.rows} with ${range}, ${probability(of.observed)} were taken back; ${probability(of.average)} of all`);
    if (of.test_observed !== undefined) lines.push(`in test ${probability(of.test_observed)} of ${of.test_rows}`);
  }
  return tile('Risk', probability(response.risk), ...lines);
}

function kind({ category }) {
  if (!category) return tile('Kind', '–', 'neither declared nor predicted');
  const { name, predicted } = category;
  if (category.source === 'CATEGORY_SOURCE_PREDICTED') {
    return tile('Kind', name, `as the model sees it${sure(category.probability)}`);
  }
  if (predicted !== undefined && category.disagrees) {
    const but = el('strong', { class: 'warning' }, `but it looks like ${predicted}`);
    return tile('Kind', name, el('small', {}, 'as declared, ', but, sure(category.predicted_probability)));
  }
  const both = predicted === name ? `as declared, and as the model sees it${sure(category.probability)}` : 'as declared';
  return tile('Kind', name, both);
}

// Where its score lies among those of the validation; of another model's nothing can be said.
function distribution(response, model) {
  const quantiles = model?.anomaly_quantiles?.map(Number);
  if (!(quantiles?.length > 1) || model.model.digest !== response.model?.digest || band(response.band)[1] === 'unjudged') return [];
  const { bands } = model;
  const at = (percentile) => quantiles[Math.min(Math.round(percentile), quantiles.length - 1)].toFixed(1);
  const text = `Its score is ${response.anomaly.toFixed(1)}. Of the model’s validation pull requests half are below ${at(50)}, ` +
    `${bands.unusual}% below ${at(bands.unusual)} and ${bands.very_unusual}% below ${at(bands.very_unusual)}.`;
  const other = response.reference === 'REFERENCE_REPOSITORY' &&
    ' These are of all repositories; the verdict compares with those of this one, so it may lie elsewhere among them.';
  return el('figure', {},
    el('figcaption', {}, el('strong', {}, 'Among the scores of all repositories'), ' ',
      el('span', {}, 'unusual and very unusual begin at the dashed lines')),
    density(quantiles, response.anomaly, bands), el('p', { class: 'note' }, text, other));
}

// A value beside what is usual, drawn and told; nothing where there is no amount to draw.
function usualStrip({ value, usual, feature }, features) {
  const known = features.get(feature);
  const [number, range] = [Number(value), usual && { low: +usual.low, median: +usual.median, high: +usual.high }];
  if (!range || !known || ['yes_no', 'coordinate'].includes(known.unit)) return [];
  if (![number, range.low, range.median, range.high].every(Number.isFinite)) return [];
  const far = isFar(number, range, known.unit);
  const tell = (value) => amount(value, known);
  return el('div', { class: 'usual' }, strip(number, range, far),
    el('small', {}, `${tell(range.low)} to ${tell(range.high)}, median ${tell(range.median)}${far ? ' (logarithmic)' : ''}`));
}

const LEGEND = 'The strips: block, 5% to 95% of changes; line, their median; diamond, this change.';

function reasons(response, features, model) {
  if (!response.reasons?.length) return [];
  const isOf = model?.training?.to && model.model.digest === response.model?.digest;
  const usual = isOf ? `the changes up to ${day(model.training.to)}` : 'the usual';
  const title = response.band === 'BAND_ROUTINE' ? `Most unlike ${usual}: it` : `Because, beside ${usual}, it`;
  const largest = Math.max(...response.reasons.map((reason) => reason.contribution));
  const items = response.reasons.map((reason) => el('li', {},
    el('div', { class: 'weight' }, el('span', {}, percent(reason.contribution), el('span', { class: 'aside' }, ' of the score: ')),
      bar(reason.contribution / largest)),
    el('p', {}, reason.sentence), usualStrip(reason, features)));
  return [el('h4', {}, title), el('p', { class: 'note' }, LEGEND), el('ol', { class: 'reasons' }, items)];
}

function riskReasons(response, features) {
  if (!response.risk_reasons?.length) return [];
  const items = response.risk_reasons.map((reason) => el('li', {},
    el('div', { class: 'weight' }, `×${Math.exp(reason.effect).toFixed(1)}`),
    el('p', {}, `as it ${reason.sentence}`), usualStrip(reason, features)));
  return [el('h4', {}, 'Against a usual change these odds of being taken back are'),
    el('ol', { class: 'reasons' }, items)];
}

// The group that it lies in, and how typical of it it is.
function alike({ cluster }) {
  if (!cluster) return [];
  const share = 100 * (cluster.farther ?? 0);
  const typical = share >= 1 ? `${share.toFixed(0)}% of them are less typical` : 'hardly any of them is less typical';
  return [el('h4', {}, 'Resembles'),
    el('p', {}, `${number(cluster.rows)} others that declare no kind (typical of them: ${cluster.name}); ${typical}.`)];
}

// What the answer could not take into account, and what to keep in mind.
function notes(response) {
  const causes = [];
  if (response.missing_fields?.length) causes.push(`the document lacks ${response.missing_fields.join(', ')}`);
  if (response.history_source === 'HISTORY_SOURCE_NONE') causes.push('no history of this repository is known');
  const found = [...(response.warnings ?? [])];
  if (causes.length) {
    found.push(`${causes.join(', and ')}: ${counted(response.unknown_features, 'feature')} ` +
      `${response.unknown_features === 1 ? 'is' : 'are'} unknown and left out`);
  }
  if (response.repository_is_foreign && band(response.band)[1] !== 'unjudged') {
    found.push('what is usual, and what is risky, was learnt from other repositories');
  }
  if (response.history_as_of && Date.parse(response.created_at) <= Date.parse(response.history_as_of)) {
    found.push(`its history holds what happened since it was opened (known up to ${day(response.history_as_of)}), its own fate perhaps`);
  }
  return found.length ? el('ul', { class: 'notes' }, found.map((text) => el('li', {}, el('strong', {}, 'note: '), text))) : [];
}

// Which model and which history gave the answer, and how long it took.
function origin(response) {
  const parts = [];
  if (response.model) parts.push(`model ${response.model.version} (${short(response.model.digest)})`);
  if (response.history_source === 'HISTORY_SOURCE_REQUEST') parts.push('history from the request');
  if (response.history_as_of) parts.push(`history of this repository up to ${day(response.history_as_of)}`);
  if (response.created_at) parts.push(`opened ${day(response.created_at)}`);
  if (response.elapsed) parts.push(milliseconds(response.elapsed));
  return el('p', { class: 'note' }, parts.join(' · '));
}

// The whole answer; `model` is that of GetModel, or nothing where it is not known. Its heading takes the focus.
export function answer(response, title, model) {
  const features = new Map(model?.features?.map((feature) => [feature.name, feature]));
  return [
    el('h3', { id: 'answer-title', tabindex: '-1' }, el('bdi', {}, identity(response)), ' ',
      el('bdi', { class: 'title' }, title)),
    el('dl', { class: 'key' }, verdict(response), risk(response, model), kind(response)),
    el('div', { class: 'columns' }, distribution(response, model), el('div', {}, notes(response), alike(response), origin(response))),
    reasons(response, features, model), riskReasons(response, features),
  ].flat();
}
