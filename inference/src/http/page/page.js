// The page of the service: asks it, and puts the answers in place.

import { describeDrift, describeModel, describeShadow, servedBy } from './about.js';
import { answer } from './answer.js';
import { el, table } from './draw.js';
import { band, identity, moment, percentile, probability } from './words.js';

const RECENT_EVERY = 15_000;
const MODEL_AND_DRIFT_EVERY = 60_000;

const byId = (id) => document.getElementById(id);
const put = (id, ...children) => byId(id).replaceChildren(...children.flat().filter(Boolean));

// In memory only: a token that is stored outlives the person who typed it.
let token = '';
let model;
let afterAccess;

// An error as the service tells it: RFC 9457, with the fields at fault.
class Problem extends Error {
  constructor({ status = 0, title = '', detail = '', field_violations: violations = [] }) {
    super(detail || title || 'The service gave no reason.');
    Object.assign(this, { status, violations: violations.filter((violation) => violation.field) });
  }
}

async function ask(path, body) {
  const headers = { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }) };
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { method: body === undefined ? 'GET' : 'POST', headers, body, credentials: 'omit' });
  } catch {
    throw new Problem({ detail: 'The service does not answer. Is it running, and is the network up?' });
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Problem({ status: response.status, detail: 'The service gave no JSON.' });
  }
  if (response.ok) return answer;
  if (response.status === 401) demandToken();
  throw new Problem({ ...answer, status: response.status });
}

function demandToken() {
  byId('access-why').textContent = token
    ? 'This service does not take that bearer token.'
    : 'This service asks for a bearer token.';
  byId('access').hidden = false;
}

// --- Score

async function score(text) {
  if (!text.trim()) return tellProblem(new Problem({ detail: 'Paste GitHub’s JSON of a pull request first.' }));
  put('problem');
  byId('document').removeAttribute('aria-invalid');
  byId('status').textContent = 'Scoring…';
  try {
    const response = await ask('/v1/score', text);
    if (response.results) throw new Problem({ detail: 'This page shows one pull request. Post a list to /v1/score.' });
    if (model?.model.digest !== response.model?.digest) await loadModel();
    show(response, titleOf(text));
    loadRecent();
  } catch (problem) {
    if (problem.status === 401) afterAccess = () => score(text);
    tellProblem(problem);
  } finally {
    byId('status').textContent = '';
  }
}

function tellProblem(problem) {
  if (problem.status !== 401) byId('document').setAttribute('aria-invalid', 'true');
  const list = problem.violations?.map(({ field, description }) => el('li', {}, el('code', {}, field), ` ${description}`));
  const why = list?.length ? ['something is wrong with the document', el('ul', {}, list)] : [problem.message];
  // What is still there is of another pull request.
  byId('answer').hidden = true;
  put('problem', el('div', { class: 'error' }, el('strong', {}, problem.status ? `Not scored (${problem.status}): ` : 'Not scored: '), why));
}

// The title that a document gives its pull request; a webhook's payload holds it one level down.
function titleOf(text) {
  try {
    const document = JSON.parse(text);
    const title = document?.title ?? document?.pull_request?.title;
    return typeof title === 'string' ? title : '';
  } catch {
    return '';
  }
}

function show(response, title) {
  byId('answer').replaceChildren(...answer(response, title, model));
  byId('answer').hidden = false;
  byId('answer-title').focus({ preventScroll: true });
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  byId('answer').scrollIntoView({ behavior: isStill ? 'auto' : 'smooth' });
}

async function readFile(file) {
  if (!file) return;
  byId('document').value = await file.text();
  score(byId('document').value);
}

// Says little, and does much.
const EXAMPLE = {
  number: 42, title: 'docs: fix a typo', body: null, additions: 2018, deletions: 15, changed_files: 4, commits: 1,
  author_association: 'NONE', user: { login: 'octocat', type: 'User' },
  base: { ref: 'main', repo: { full_name: 'octo-org/octo-repo' } }, head: { repo: { full_name: 'octocat/octo-repo' } },
  files: [['.github/workflows/release.yml', 48, 3], ['auth/session.py', 730, 11], ['docs/README.md', 0, 1], ['vendor/crypto/aes.py', 1240, 0]]
    .map(([filename, additions, deletions]) => ({ filename, status: 'modified', additions, deletions })),
};

function example() {
  byId('document').value = JSON.stringify({ created_at: new Date().toISOString(), ...EXAMPLE }, null, 1);
  score(byId('document').value);
}

// --- Recent

async function loadRecent(isAsked) {
  const state = byId('recent-state');
  if (isAsked) state.textContent = 'Refreshing…';
  await load('/v1/recent', 'recent-list', ({ answers }) => listRecent(answers));
  state.textContent = isAsked ? `As of ${moment(new Date().toISOString()).slice(11)} UTC` : '';
}

const keyOf = (response) => `${identity(response)} ${response.elapsed} ${response.anomaly}`;

function listRecent(answers) {
  if (!answers.length) return el('p', { class: 'faint' }, 'None since the service started.');
  const rows = answers.map(({ at, title, response }) => {
    const [words, name] = band(response.band);
    const choose = el('button', { type: 'button', class: 'link', 'data-answer': keyOf(response), onclick: () => show(response, title) },
      el('bdi', {}, identity(response)));
    const about = name !== 'unjudged' && el('small', {}, `more than ${percentile(response.percentile)}`);
    return [[choose, title && el('bdi', { class: 'title' }, title), el('small', {}, el('time', { datetime: at }, `${moment(at)} UTC`))],
      [el('span', { class: `band ${name}` }, words), about], response.risk === undefined ? '–' : probability(response.risk)];
  });
  return table('The last answers, the newest first', ['pull request', 'how unusual', '#risk'], rows, 'recent');
}

// --- Model and drift

const texts = new Map();

// Renders an answer of `path` where it differs from the last one, so that what is open, typed or focused in it stays.
async function load(path, id, render) {
  try {
    const content = await ask(path);
    const text = JSON.stringify(content);
    if (texts.get(id) === text) return;
    const focused = document.activeElement.dataset.answer;
    const scrolled = byId(id).querySelector('.box')?.scrollTop ?? 0;
    put(id, render(content));
    texts.set(id, text);
    byId(id).querySelector('.box')?.scrollTo(0, scrolled);
    if (focused) byId(id).querySelector(`[data-answer="${CSS.escape(focused)}"]`)?.focus();
  } catch (problem) {
    texts.delete(id);
    put(id, el('p', { class: 'error' }, problem.status === 401 ? 'Needs the bearer token.' : problem.message));
  }
}

function renderModel(content) {
  model = content;
  byId('serving').textContent = servedBy(model);
  return describeModel(model);
}

// The section is there where a second model is asked for.
function renderShadow(content) {
  byId('shadow-section').hidden = !content;
  return content ? describeShadow(content) : [];
}

const loadModel = () => load('/v1/model', 'model-content', renderModel);
const loadDrift = () => load('/v1/drift', 'drift-content', describeDrift);
const loadShadow = () => load('/v1/shadow', 'shadow-content', renderShadow);
const loadAll = () => Promise.all([loadModel(), loadRecent(), loadDrift(), loadShadow()]);

// --- Wiring

const field = byId('document');
byId('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  score(field.value);
});
byId('example').addEventListener('click', example);
byId('file').addEventListener('change', (event) => readFile(event.target.files[0]));
field.addEventListener('dragover', (event) => {
  if (event.dataTransfer.types.includes('Files')) event.preventDefault();
});
field.addEventListener('drop', (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  readFile(event.dataTransfer.files[0]);
});
byId('refresh').addEventListener('click', () => loadRecent(true));
byId('access').addEventListener('submit', async (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  byId('token').value = '';
  byId('access').hidden = true;
  await loadAll();
  if (!byId('access').hidden) return byId('token').focus();
  put('problem');
  field.focus();
  afterAccess?.();
  afterAccess = undefined;
});

const whileVisible = (what, every) =>
  setInterval(() => document.visibilityState === 'visible' && byId('access').hidden && what(), every);
whileVisible(loadRecent, RECENT_EVERY);
whileVisible(loadModel, MODEL_AND_DRIFT_EVERY);
whileVisible(loadShadow, MODEL_AND_DRIFT_EVERY);
// What is being read is not replaced.
whileVisible(() => byId('drift-content').querySelector('[open], :focus') || loadDrift(), MODEL_AND_DRIFT_EVERY);

await loadAll();
if (location.hash === '#example') example();
