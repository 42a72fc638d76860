// The live page: reads streams of power, draws them, and asks now and then for what changes seldom.
// All addresses are relative, so that a proxy may serve it below any path.

const SHORTEST_S = 30;
const LONGEST_S = 120;
const SILENCE_MS = 5000;
const ASK_MS = 2000;
const POINTS = 4096;
const PAST_STEP_MS = 250;

const $ = id => document.getElementById(id);
const sleep = ms => new Promise(done => setTimeout(done, ms));

let token = sessionStorage.getItem('zeusd-token') || '';
let devices = new Map();
let paused = false;
let openedMs = performance.now();
let clockOffsetMs = 0;

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function open(path, signal) {
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  const response = await fetch(path, {headers, signal, cache: 'no-store'});
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    // Where some devices fail, what the others say is in the same answer.
    if (body.errors && Object.keys(body).length > 1) return {json: async () => body};
    throw new Refused(response.status, body.error || Object.values(body.errors || {})[0] || response.statusText);
  }
  return response;
}

const ask = async path => (await open(path, AbortSignal.timeout(SILENCE_MS))).json();

function watts(mw) {
  return mw == null ? '–' : mw < 1e5 ? (mw / 1e3).toFixed(1) + ' W' : mw < 1e7 ? Math.round(mw / 1e3) + ' W'
    : (mw / 1e6).toFixed(2) + ' kW';
}

function joules(j) {
  const [scale, unit] = j < 1e3 ? [1, 'J'] : j < 1e6 ? [1e3, 'kJ'] : [1e6, 'MJ'];
  return (j / scale).toFixed(unit === 'J' ? 0 : 2) + ' ' + unit;
}

function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** What is drawn: times and values in arrays that never grow. */
class Track {
  constructor() {
    this.times = new Float64Array(2 * POINTS);
    this.values = new Float64Array(2 * POINTS);
    this.end = 0;
    this.begin = Infinity;
  }

  add(seconds, value) {
    if (this.end > 0 && seconds <= this.times[this.end - 1]) return;
    this.begin = Math.min(this.begin, seconds);
    if (this.end === this.times.length) {
      this.times.copyWithin(0, POINTS);
      this.values.copyWithin(0, POINTS);
      this.end = POINTS;
    }
    this.times[this.end] = seconds;
    this.values[this.end++] = value;
  }

  /** The newest ones, from a moment on and one before it. */
  since(seconds) {
    let low = Math.max(0, this.end - POINTS);
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < seconds) low = middle + 1; else high = middle;
    }
    const from = Math.max(0, low - 1);
    return [this.times.subarray(from, this.end), this.values.subarray(from, this.end)];
  }
}

const visible = new Set();
const watchers = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    if (isIntersecting) visible.add(target); else visible.delete(target);
  }
}, {rootMargin: '100px'});
const resizes = new ResizeObserver(entries => {
  for (const {target, contentRect} of entries) target.plot?.resize(contentRect.width);
});

class Plot {
  constructor(place, hue, height) {
    this.place = place;
    this.limit = null;
    this.height = height;
    this.now = 0;
    this.shown = SHORTEST_S;
    const line = () => color('--line');
    const text = () => color('--soft');
    this.chart = new uPlot({
      width: Math.max(100, place.clientWidth), height,
      legend: {show: false}, cursor: {show: false}, padding: [6, 4, 0, 0],
      scales: {x: {time: true}, y: {range: (chart, low, high) => [0, this.top(high)]}},
      axes: [
        {stroke: text, grid: {show: false}, ticks: {show: false}, size: 18, gap: 2, space: 70, font: '11px system-ui',
          values: (chart, times) => times.map(t => `−${Math.round(this.now - t)} s`),
          splits: () => [0.75, 0.5, 0.25].map(part => this.now - Math.round(part * this.shown))},
        {stroke: text, grid: {stroke: line, width: 1}, ticks: {show: false}, size: 46, gap: 4, space: 28,
          font: '11px system-ui',
          values: (chart, all) => all.map(v => v >= 1e4 ? v / 1e3 + ' kW' : v + ' W')},
      ],
      series: [{}, {stroke: () => color(hue), fill: () => color(hue) + '22', width: 1.5, points: {show: false}}],
      hooks: {draw: [chart => this.drawLimit(chart)]},
    }, [[], []], place);
    place.plot = this;
    place.firstElementChild.setAttribute('aria-hidden', 'true');
    watchers.observe(place);
    resizes.observe(place);
  }

  top(high) {
    const most = Math.max(high || 0, 10) * 1.1;
    return this.limit && this.limit < 2.5 * most ? Math.max(most, this.limit * 1.05) : most;
  }

  drawLimit(chart) {
    if (!this.limit || this.limit > chart.scales.y.max) return;
    const y = chart.valToPos(this.limit, 'y', true);
    const c = chart.ctx;
    c.save();
    c.strokeStyle = color('--limit');
    c.lineWidth = devicePixelRatio;
    c.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    c.beginPath();
    c.moveTo(chart.bbox.left, y);
    c.lineTo(chart.bbox.left + chart.bbox.width, y);
    c.stroke();
    c.restore();
  }

  resize(width) {
    if (width > 0 && Math.abs(width - this.chart.width) >= 1) this.chart.setSize({width, height: this.height});
  }

  draw(track, now) {
    if (!visible.has(this.place)) return;
    this.now = now;
    this.shown = Math.min(LONGEST_S, Math.max(SHORTEST_S, now - track.begin));
    this.chart.batch(() => {
      this.chart.setData(track.since(now - this.shown), false);
      this.chart.setScale('x', {min: now - this.shown, max: now});
    });
  }

  close() {
    watchers.unobserve(this.place);
    resizes.unobserve(this.place);
    visible.delete(this.place);
    this.chart.destroy();
  }
}

/** One device: its card, its track, and its energy since the page was opened. */
class Device {
  constructor(kind, id, name, what) {
    this.key = `${kind} ${id}`;
    this.what = what;
    this.kind = kind;
    this.track = new Track();
    this.joules = 0;
    this.counters = new Map();
    this.card = document.createElement('article');
    this.card.className = `card ${kind}`;
    this.card.setAttribute('aria-label', `${kind.toUpperCase()} ${id}`);
    this.card.dataset.device = this.key;
    const title = document.createElement('h3');
    title.append(`${kind.toUpperCase()} ${id}`, ' ', Object.assign(document.createElement('span'), {textContent: name, title: name}));
    const now = document.createElement('p');
    now.className = 'now';
    this.power = Object.assign(document.createElement('span'), {className: 'power', textContent: '–'});
    this.limit = Object.assign(document.createElement('span'), {className: 'limit'});
    now.append(this.power, this.limit);
    this.facts = document.createElement('dl');
    this.fields = new Map();
    this.place = Object.assign(document.createElement('div'), {className: 'plot'});
    this.card.append(title, now, this.facts, this.place);
  }

  /** Once it is on the page, so that its size is known. */
  show() {
    this.plot = new Plot(this.place, this.kind === 'gpu' ? '--gpu' : '--cpu', 110);
    this.fact('Energy', joules(0));
  }

  fact(name, text) {
    let field = this.fields.get(name);
    if (!field && text == null) return;
    if (!field) {
      const box = document.createElement('div');
      field = document.createElement('dd');
      box.append(Object.assign(document.createElement('dt'), {textContent: name}), field);
      this.facts.append(box);
      this.fields.set(name, field);
    }
    const shown = text ?? '–';
    if (field.textContent !== shown) field.textContent = shown;
  }

  /** A sample, in mW: what is shown changes when it is drawn. */
  add(timestampMs, mw, dramMw) {
    const seconds = timestampMs / 1e3;
    if (!this.counters.size && this.mw != null) {
      const passed = seconds - this.at;
      if (passed > 0 && passed < 5) this.joules += (mw + this.mw) / 2e3 * passed;
    }
    this.mw = mw;
    this.dramMw = dramMw;
    this.at = seconds;
    this.track.add(seconds, mw / 1e3);
  }

  /** A counter of its energy, in J; one that goes back was reset. */
  count(name, j) {
    if (j == null) return;
    const before = this.counters.get(name);
    if (before === undefined && name === 'own') this.joules = 0;
    if (before !== undefined && j > before) this.joules += j - before;
    this.counters.set(name, j);
  }

  draw(now) {
    const shown = watts(this.mw);
    if (this.power.textContent !== shown) this.power.textContent = shown;
    this.fact('Energy', joules(this.joules));
    if (this.dramMw != null) this.fact('DRAM', watts(this.dramMw));
    // A value that does not change is not sent again, and holds until now.
    if (this.mw != null && live[this.kind]) this.track.add(now, this.mw / 1e3);
    this.card.classList.toggle('stale', !live[this.kind]);
    this.plot.draw(this.track, now);
  }
}

const live = {gpu: false, cpu: false};
const total = {track: new Track(), plot: null};
/** Whether the power of a GPU is that of its module, which has the CPUs in it. */
let gpusHaveCpus = false;

function isInTotal(device) {
  return device.kind === 'gpu' || !gpusHaveCpus;
}

/** Events of a stream, one after the other; throws when it ends or nothing comes for too long. */
async function follow(path, onSample) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const response = await open(path, abort.signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const {done, value} = await reader.read();
      if (done) throw new Error('the stream has ended');
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE_MS);
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) if (line.startsWith('data: ')) onSample(JSON.parse(line.slice(6)));
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

async function stream(kind, run) {
  const key = `${kind}_id`;
  let pauseMs = 250;
  while (run === current) {
    try {
      await follow(`${kind}/stream_power?format=sample`, sample => {
        if (run !== current) throw new Error('another run');
        if (!live[kind]) say('live', 'Live');
        live[kind] = true;
        pauseMs = 250;
        devices.get(`${kind} ${sample[key]}`)
          ?.add(sample.timestamp_ms, kind === 'gpu' ? sample.power_mw : sample.cpu_mw, sample.dram_mw);
      });
    } catch (e) {
      live[kind] = false;
      if (run !== current) return;
      if (e instanceof Refused && (e.status === 401 || e.status === 403 || e.status === 404)) return restart(e);
      say('lost', 'Connection lost, trying again …');
      await sleep(pauseMs);
      pauseMs = Math.min(4000, 2 * pauseMs);
      // It may be another daemon by now, with other devices.
      return restart();
    }
  }
}

let restarting = false;

async function restart(refusal) {
  if (restarting) return;
  restarting = true;
  try {
    await begin(refusal);
  } finally {
    restarting = false;
  }
}

function say(state, text) {
  const status = $('status');
  if (status.textContent !== text) status.textContent = text;
  status.dataset.state = state;
}

function askForToken(problem) {
  $('login').hidden = false;
  $('token-problem').textContent = problem;
  say('waiting', 'A token is needed');
  if (document.activeElement === document.body) $('token').focus();
}

let current = 0;

/** Finds out what is there, and follows it. */
async function begin() {
  const run = ++current;
  let discovery;
  for (let pauseMs = 250; ; pauseMs = Math.min(4000, 2 * pauseMs)) {
    try {
      discovery = await ask('discover');
      clockOffsetMs = (await ask('time')).timestamp_ms - Date.now();
      break;
    } catch (e) {
      say('lost', e instanceof Refused ? e.message : 'No daemon there, trying again …');
      await sleep(pauseMs);
    }
  }
  let groups = discovery.enabled_api_groups;
  if (discovery.auth_required) {
    if (!token) return askForToken('');
    try {
      const {sub, scopes} = await ask('auth/whoami');
      groups = groups.filter(group => scopes.includes(group));
      $('host').textContent = `${location.host} · ${sub}`;
    } catch (e) {
      // Gone between two questions.
      if (!(e instanceof Refused) || e.status >= 500) return setTimeout(begin, 1000);
      clear();
      return askForToken(e.message);
    }
  } else {
    $('host').textContent = location.host;
  }
  $('login').hidden = true;
  $('token-problem').textContent = '';
  build(discovery, groups);
  const kinds = ['gpu', 'cpu'].filter(kind => groups.includes(`${kind}-read`) && discovery[`${kind}s`].length);
  if (!kinds.length) say('waiting', 'Nothing here that this token may read');
  if (discovery.power_history_s) await fillPast(kinds, discovery.power_history_s);
  if (run !== current) return;
  kinds.forEach(kind => stream(kind, run));
  if (kinds.length) poll(kinds, groups.includes('gpu-control'), run);
}

/** What the daemon has kept, as far as it is newer than what is drawn already. */
async function fillPast(kinds, keptS) {
  const fromMs = Math.floor(Date.now() + clockOffsetMs - 1e3 * Math.min(LONGEST_S, keptS));
  const sums = new Map();
  for (const kind of kinds) {
    try {
      const past = await ask(`${kind}/power_history?from_ms=${fromMs}&step_ms=${PAST_STEP_MS}`);
      for (const [id, steps] of Object.entries(past.power_mw)) {
        const device = devices.get(`${kind} ${id}`);
        if (device) addPast(device, past.from_ms, steps, sums);
      }
    } catch (e) {
      // The plots begin with what the streams bring.
    }
  }
  for (const [seconds, mw] of sums) total.track.add(seconds, mw / 1e3);
}

/** The steps of one device; the last one is not over. */
function addPast(device, fromMs, steps, sums) {
  const means = (steps.cpu_mw ?? steps).mean;
  let mw = 0;
  let dramMw = 0;
  for (let i = 0; i < means.length - 1; i++) {
    const seconds = (fromMs + (i + 0.5) * PAST_STEP_MS) / 1e3;
    mw = means[i] ?? mw;
    dramMw = steps.dram_mw?.mean[i] ?? dramMw;
    if (means[i] != null) device.track.add(seconds, mw / 1e3);
    if (isInTotal(device)) sums.set(seconds, (sums.get(seconds) ?? 0) + mw + dramMw);
  }
}

function clear() {
  for (const device of devices.values()) device.plot.close();
  devices = new Map();
  for (const id of ['gpus', 'cpus', 'total', 'leases']) $(id).hidden = true;
  document.querySelectorAll('.grid').forEach(grid => grid.replaceChildren());
}

function build(discovery, groups) {
  const wanted = [];
  if (groups.includes('gpu-read')) {
    for (const {id, name, uuid} of discovery.gpus) wanted.push(['gpu', id, name, `${name} ${uuid}`]);
  }
  if (groups.includes('cpu-read')) {
    // The other domains hold packages and more, and are in no stream of "all CPUs".
    for (const {id, domain} of discovery.cpus) if (domain === 'package') wanted.push(['cpu', id, domain, domain]);
  }
  gpusHaveCpus = groups.includes('gpu-read') && discovery.gpus.some(gpu => gpu.power_scope === 'module');
  $('problems').hidden = !discovery.problems;
  $('problems').textContent = (discovery.problems || []).join('\n');
  // After a restart of the machine there may be another device behind the same id.
  const same = wanted.length === devices.size
    && wanted.every(([kind, id, , what]) => devices.get(`${kind} ${id}`)?.what === what);
  if (same && devices.size) return;
  clear();
  for (const [kind, id, name, what] of wanted) {
    const device = new Device(kind, id, name, what);
    devices.set(device.key, device);
    $(`${kind}s`).hidden = false;
    $(`${kind}s`).querySelector('.grid').append(device.card);
  }
  for (const device of devices.values()) device.show();
  $('total').hidden = devices.size === 0;
  total.plot ??= new Plot($('total-plot'), '--gpu', 150);
}

/** What changes seldom. What is refused is left out. */
async function poll(kinds, mayControl, run) {
  const each = async (path, use) => {
    try {
      const answer = await ask(path);
      if (run === current) use(answer);
    } catch (e) {
      // The streams notice what is wrong with the connection.
    }
  };
  const forAll = (kind, use) => answer => {
    for (const [id, value] of Object.entries(answer)) {
      const device = devices.get(`${kind} ${id}`);
      if (device) use(device, value);
    }
  };
  for (; run === current; await sleep(document.hidden ? 5 * ASK_MS : ASK_MS)) {
    const questions = [];
    if (kinds.includes('gpu')) {
      questions.push(each('gpu/get_cumulative_energy', forAll('gpu', (gpu, {energy_mj}) => gpu.count('own', energy_mj / 1e3))));
      questions.push(each('gpu/get_telemetry', forAll('gpu', showTelemetry)));
    }
    if (kinds.includes('cpu')) {
      questions.push(each('cpu/get_cumulative_energy?cpu=true&dram=true', forAll('cpu', (cpu, energy) => {
        cpu.count('own', energy.cpu_energy_uj / 1e6);
        cpu.count('dram', energy.dram_energy_uj == null ? null : energy.dram_energy_uj / 1e6);
      })));
    }
    if (mayControl) questions.push(each('leases', ({leases}) => showLeases(leases)));
    await Promise.all(questions);
  }
}

function showTelemetry(gpu, t) {
  const limitMw = t.enforced_power_limit_mw ?? t.power_limit_mw;
  gpu.plot.limit = limitMw == null ? null : limitMw / 1e3;
  const text = limitMw == null ? '' : `limit ${watts(limitMw)}`;
  if (gpu.limit.textContent !== text) gpu.limit.textContent = text;
  gpu.fact('Clock', t.sm_clock_mhz == null ? null : `${t.sm_clock_mhz} MHz`);
  gpu.fact('Temp.', t.temperature_c == null ? null : `${t.temperature_c} °C`);
  gpu.fact('Load', t.gpu_utilization_pct == null ? null : `${t.gpu_utilization_pct} %`);
}

function showLeases(leases) {
  $('leases').hidden = false;
  $('leases').querySelector('.none').hidden = leases.length > 0;
  $('leases').querySelector('table').hidden = leases.length === 0;
  const rows = leases.map(lease => {
    const row = document.createElement('tr');
    const cells = [lease.holder, lease.gpu_ids.join(', '), lease.keys.join(', '), lease.state, duration(lease.expires_in_ms / 1e3)];
    row.append(...cells.map(text => Object.assign(document.createElement('td'), {textContent: text})));
    return row;
  });
  $('leases').querySelector('tbody').replaceChildren(...rows);
}

/** Draws, as often as so many devices allow. */
function draw() {
  setTimeout(() => requestAnimationFrame(draw), devices.size > 24 ? 500 : devices.size > 8 ? 200 : 100);
  if (paused || document.hidden || !devices.size) return;
  const now = (Date.now() + clockOffsetMs) / 1e3;
  let mw = 0;
  let j = 0;
  for (const device of devices.values()) {
    device.draw(now);
    if (isInTotal(device)) {
      mw += (device.mw ?? 0) + (device.dramMw ?? 0);
      j += device.joules;
    }
  }
  if (live.gpu || live.cpu) {
    total.track.add(now, mw / 1e3);
    say('live', 'Live');
  }
  $('total-power').textContent = watts(mw);
  $('total-energy').textContent = joules(j);
  $('total-time').textContent = duration((performance.now() - openedMs) / 1e3);
  total.plot.draw(total.track, now);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  for (const {plot} of [...devices.values(), total]) plot?.chart.redraw(false);
}

const darkness = matchMedia('(prefers-color-scheme: dark)');
setTheme(localStorage.getItem('zeusd-theme') || (darkness.matches ? 'dark' : 'light'));
darkness.addEventListener('change', () => {
  if (!localStorage.getItem('zeusd-theme')) setTheme(darkness.matches ? 'dark' : 'light');
});
$('theme').addEventListener('click', () => {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  localStorage.setItem('zeusd-theme', theme);
  setTheme(theme);
});
$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', paused);
});
$('login').addEventListener('submit', event => {
  event.preventDefault();
  const given = $('token').value.trim();
  // The browser would not even send anything else.
  if (!/^[\x21-\x7e]*$/.test(given)) return askForToken('A token has letters, digits and signs only');
  token = given;
  sessionStorage.setItem('zeusd-token', token);
  $('token').value = '';
  begin();
});
begin();
draw();
