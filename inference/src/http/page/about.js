// What is served and what comes in: the model, and how its inputs have moved since the training.

import { bar, el, shares, table, tile } from './draw.js';
import { amount, counted, day, moment, number, percent, probability, short, span, weakRisk } from './words.js';

// Metrics by name: how the number is written, and what it is.
const three = (value) => value.toFixed(3);
const METRICS = {
  test_share_unusual: [probability, 'unusual: share of test rows'],
  test_share_very_unusual: [probability, 'very unusual: share of test rows'],
  risk_test_rows: [number, 'risk: test rows of known outcome'],
  risk_test_reverted: [number, 'risk: of these, taken back'],
  risk_test_auc: [three, 'risk: AUC (0.5 is chance)'],
  risk_test_churn_auc: [three, 'risk: AUC of churn alone'],
  risk_test_average_precision: [three, 'risk: average precision'],
  risk_test_brier: [three, 'risk: Brier score (less is better)'],
  risk_test_calibration_error: [probability, 'risk: the probability is off by'],
  category_test_rows: [number, 'kind: test rows that declare one'],
  category_accuracy: [probability, 'kind: accuracy'],
  category_majority_accuracy: [probability, 'kind: accuracy of always the most frequent'],
  category_macro_f1: [three, 'kind: macro F1'],
  category_calibration_error: [probability, 'kind: the probability is off by'],
  cluster_silhouette: [three, 'groups: mean silhouette'],
};

function metric(name) {
  const [, part, of] = name.match(/^(risk_test_capture|category_recall)_(.+)/) ?? [];
  if (part === 'category_recall') return [probability, `kind: recall of ${of}`];
  if (part) return [probability, `risk: found in the riskiest ${of}%`];
  return METRICS[name] ?? [(value) => String(+value.toFixed(4)), el('code', {}, name)];
}

// Those in words in their order, then the others by name.
function metrics(values) {
  const known = Object.keys(METRICS);
  const place = (name) => (known.indexOf(name) + 1 || known.length + 1);
  const names = Object.keys(values).sort((a, b) => place(a) - place(b) || a.localeCompare(b, 'en', { numeric: true }));
  return names.map((name) => {
    const [tell, words] = metric(name);
    const value = Number(values[name]);
    return [words, Number.isFinite(value) ? tell(value) : '–'];
  });
}

const list = (texts) => (texts ?? []).join(', ') || '–';

export function describeModel(model) {
  const { training = {}, bands } = model;
  const content = [
    el('dl', { class: 'key' },
      tile('Version', el('span', { class: 'long' }, model.model?.version), `digest ${short(model.model?.digest)}`),
      tile('Training', number(training.rows), `pull requests, opened ${day(training.from)} to ${day(training.to)}`,
        `features run ${training.run}`),
      tile('Validation', number(training.validation_rows), 'pull requests opened after that, which give the percentiles'),
      tile('Bands', bands ? `${bands.unusual}% · ${bands.very_unusual}%` : '–', 'percentiles from which one is unusual, and very unusual'),
      tile('History', day(model.history_as_of) || '–', 'the newest event that is known of any repository')),
  ];
  const missing = Object.entries(model.missing_heads ?? {});
  if (missing.length) {
    content.push(el('h3', {}, 'What it cannot say'),
      el('ul', {}, missing.map(([head, why]) => el('li', {}, el('strong', {}, head), `: ${why}`))));
  }
  if (model.risk_bands?.length) {
    const rows = model.risk_bands.map((of) => [`${probability(of.from)} to ${probability(of.to)}`, number(of.rows),
      probability(of.observed), number(of.test_rows), of.test_observed === undefined ? '–' : probability(of.test_observed)]);
    content.push(el('h3', {}, 'Risk'), table('Taken back, by the probability that was told', ['probability', '#pull requests',
      '#taken back', '#in test', '#taken back in test'], rows),
    el('p', { class: 'note' }, `${probability(model.risk_bands[0].average)} of all. By those in test nothing was chosen.`),
    weakRisk(model.metrics) && el('p', { class: 'note' }, el('strong', {}, 'Mind: '), weakRisk(model.metrics), '.'));
  }
  if (model.categories?.length) content.push(el('h3', {}, 'Kinds'), el('p', {}, list(model.categories)));
  if (model.clusters?.length) {
    const rows = model.clusters.map((group) => [group.name, number(group.rows), list(group.words),
      (group.features ?? []).join('; ') || '–', list(group.examples)]);
    content.push(el('h3', {}, 'Groups'), table('Pull requests that declare no kind, by what is typical of them',
      ['name', '#pull requests', 'words of titles', 'features', 'most typical'], rows));
  }
  content.push(
    el('details', {}, el('summary', {}, 'What was measured in training'), table('Metrics', ['what', '#value'], metrics(model.metrics ?? {}))),
    featureList(model.features ?? []));
  return content;
}

function featureList(features) {
  const rows = features.map((feature) => [
    [el('code', {}, feature.name), el('small', {}, feature.about)],
    feature.group.replace('_', ' '), feature.unit.replace('_', ' '), feature.source]);
  const shown = table('Features', ['name', 'group', 'unit', 'source'], rows, 'features');
  const lines = [...shown.querySelector('tbody').rows];
  const found = el('span', { class: 'note', role: 'status' }, counted(features.length, 'feature'));
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const line of lines) {
      const text = line.textContent.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
    }
    found.textContent = counted(lines.filter((line) => !line.hidden).length, 'feature');
  };
  const field = el('input', { id: 'search', type: 'search', autocomplete: 'off', oninput: search });
  return el('details', {}, el('summary', {}, `The ${counted(features.length, 'feature')} that it reads`),
    el('div', { class: 'row' }, el('label', { for: 'search' }, 'Search'), field, found), shown);
}

// The words for a population stability index.
const word = (psi) => (psi < 0.1 ? 'as in training' : psi <= 0.25 ? 'moved' : 'drifted');

export function describeDrift(drift) {
  const { rows, enough, features } = drift;
  const window = el('p', {}, `${counted(rows, 'pull request')} counted of the last ${number(drift.window)}, ` +
    'against those of the training.');
  if (rows < enough) {
    return [window, el('p', {}, el('strong', {}, 'Too few to tell: '), `it takes ${number(enough)} before shares can be compared.`)];
  }
  const judged = features.filter((feature) => Number.isFinite(feature.psi));
  const tally = ['drifted', 'moved', 'as in training'].map((name) =>
    `${judged.filter((feature) => word(feature.psi) === name).length} ${name}`);
  const largest = Math.max(...judged.map((feature) => feature.psi), 0.25);
  const shown = table('Features, the most moved first', ['feature', 'stability index, and shares by bin'],
    judged.map((feature) => driftRow(feature, largest)), 'drift');
  return [window, el('p', {}, `Of ${counted(judged.length, 'feature')}: ${tally.join(', ')}.`),
    el('p', { class: 'note' }, 'Population stability index: under 0.1 as in training, to 0.25 moved, above drifted. A grey bar is the ' +
      'share of unknown values. The more has drifted, the less the model’s past resembles what it judges: train again.'), shown];
}

function driftRow(feature, largest) {
  const { psi, bins } = feature;
  const name = { drifted: 'very', moved: 'unusual', 'as in training': 'one' }[word(psi)];
  const rows = bins.map((bin) => [range(bin, feature), percent(bin.training), percent(bin.now)]);
  return [
    [el('code', {}, feature.name), el('small', {}, feature.about), el('details', {},
      el('summary', {}, 'as a table', el('span', { class: 'aside' }, `: ${feature.name}`)),
      table(`Shares of ${feature.name}`, ['from, to', '#training', '#now'], rows))],
    el('div', { class: 'moved' }, el('p', {}, `${psi.toFixed(2)} `, el('strong', { class: name }, word(psi)), bar(psi / largest, name)),
      shares(bins))];
}

function range({ from = null, to = null, unknown }, feature) {
  if (unknown) return 'unknown';
  const tell = (value) => amount(value, feature);
  if (from === null) return to === null ? 'all' : `below ${tell(to)}`;
  return to === null ? `${tell(from)} and above` : `${tell(from)} to ${tell(to)}`;
}

export function describeShadow({ wanted, share, loaded, dropped, failed, enough, compared }) {
  const judging = el('p', {}, loaded
    ? `Version ${loaded.version} (${short(loaded.digest)}) judges ${percent(share)} of what is scored as well. Nobody gets its answers.`
    : `A second model, ${wanted}, is asked for and not there: it is loaded, is the one that is served, or cannot be used, which the log tells.`);
  if (!compared) return [judging];
  const { served, rows, percentile, risk, farthest } = compared;
  const psi = (figure) => (figure.psi === null ? `–, it takes ${number(enough)}` : figure.psi.toFixed(2));
  const apart = (figure, unit) => [`half differ by at most ${unit(figure.median_difference)}`,
    `95% by at most ${unit(figure.p95_difference)}`];
  const points = (value) => `${value.toFixed(1)} points`;
  const percentage = (value) => `${value.toFixed(1)}%`;
  return [judging,
    el('dl', { class: 'key' },
      tile('Compared', number(rows), `pull requests, the last ones since ${moment(compared.since)} UTC`,
        `with ${served.version} (${short(served.digest)})`),
      tile('Same band', percent(compared.same_band), `${number(dropped)} dropped, ${number(failed)} failed since the start`),
      tile('Percentiles', psi(percentile), 'stability index', ...apart(percentile, points)),
      risk && tile('Risk', psi(risk), 'stability index', ...apart(risk, probability))),
    table('Bands by the two', ['served', 'shadow', '#pull requests'],
      compared.bands.map((both) => [BANDS[both.served], BANDS[both.shadow], number(both.rows)])),
    farthest.length && table('Percentiles that are farthest apart', ['pull request', '#served', '#shadow'],
      farthest.map((of) => [el('bdi', {}, of.pull_request), percentage(of.served), percentage(of.shadow)]))];
}

const BANDS = { routine: 'routine', unusual: 'unusual', very_unusual: 'very unusual' };

export const servedBy = (model) => `Model ${model.model?.version}, trained up to ${day(model.training?.to)}.`;
