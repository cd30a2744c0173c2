// Numbers, amounts and times in the words that the service and `prowl score` use.

// Text from outside must not turn the direction of what stands beside it, nor hide in it.
export const printable = (text) =>
  String(text ?? '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '');

// Whole from ten on and thousands set apart, one digit after the point below ten.
export function number(value) {
  if (!Number.isFinite(value)) return '–';
  if (value > 0 && value < 0.05) return 'less than 0.1';
  const digits = Math.abs(value) < 9.95 ? 1 : 0;
  return value.toLocaleString('en', { maximumFractionDigits: digits }).replace(/^-/, '−').replace(/^−0$/, '0');
}

export const counted = (value, one, many = `${one}s`) => {
  const text = number(value);
  return `${text} ${text === '1' ? one : many}`;
};

// A share in per cent, with enough digits to tell a rare thing from one that never happens.
export function percent(share) {
  if (!Number.isFinite(share)) return '–';
  const value = 100 * share;
  if (value === 0) return '0%';
  if (value < 0.05) return 'less than 0.1%';
  return `${value.toFixed(value < 1 ? 1 : 0)}%`;
}

// A probability: always one digit, so that bands can be told apart.
export const probability = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : '–');

// Rounded down, with a digit more near 100, so that `more unusual than` stays true.
export function percentile(value) {
  const [digits, scale] = value >= 99 ? [1, 10] : [0, 1];
  return `${(Math.floor(value * scale + 1e-3) / scale).toFixed(digits)}%`;
}

const COUNTED = {
  lines: ['line'], files: ['file'], directories: ['directory', 'directories'], pull_requests: ['pull request'],
  people: ['author'], days: ['day'], characters: ['character'], words: ['word'],
};

// A value of a feature in its unit, such as `1,204 lines`.
export function amount(value, { unit, group } = {}) {
  if (COUNTED[unit]) return counted(value, ...COUNTED[unit]);
  switch (unit) {
    case 'share': return percent(value);
    case 'bits': return counted(2 ** value, 'file');
    case 'spreads': return `${counted(Math.abs(value), 'spread')} ${value < 0 ? 'below' : 'above'}`;
    case 'doublings':
      if (value >= 0) return `${number(2 ** value)} times`;
      return group === 'relative' ? percent(2 ** value) : `${(2 ** value).toFixed(2)} times`;
    default: return number(value);
  }
}

// What to say of a model whose risk was of no use on later pull requests; nothing of others. As `words::weak_risk`.
export function weakRisk(metrics = {}) {
  const metric = (name) => Number(metrics[`risk_test_${name}`] ?? NaN);
  const [auc, churn, reverted] = ['auc', 'churn_auc', 'reverted'].map(metric);
  const others = metric('rows') - reverted;
  const square = auc * auc;
  // The standard error of Hanley and McNeil.
  const variance = auc - square + (reverted - 1) * (auc / (2 - auc) - square) + (others - 1) * (2 * square / (1 + auc) - square);
  const error = Math.sqrt(variance / (reverted * others));
  const isChance = auc - 1.96 * error <= 0.5;
  if (!isChance && !(auc < churn)) return undefined;
  const [than, beside] = isChance ? ['chance', ''] : ['lines changed alone', ` against ${churn.toFixed(2)}`];
  return `the risk of this model was no better than ${than} on later pull requests (AUC ${auc.toFixed(2)}${beside}, ${reverted} taken back)`;
}

// A time of RFC 3339 as UTC.
export const day = (time) => printable(time).slice(0, 10);
export const moment = (time) => printable(time).slice(0, 19).replace('T', ' ');

export const milliseconds = (duration) => `${(1000 * parseFloat(duration)).toFixed(2)} ms`;

export const short = (digest) => printable(digest).slice(0, 12);

export function span(seconds) {
  const units = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];
  const [size, name] = units.find(([size]) => seconds >= size) ?? units[3];
  return seconds === size ? name : counted(seconds / size, name);
}

// Band: its words and its class.
const BANDS = {
  BAND_ROUTINE: ['Routine', 'routine'],
  BAND_UNUSUAL: ['Unusual', 'unusual'],
  BAND_VERY_UNUSUAL: ['Very unusual', 'very'],
};
export const band = (name) => BANDS[name] ?? ['Not judged', 'unjudged'];

export const identity = (response) => `${response.repository}#${response.number}`;
