"use strict";
// What the page holds, unpacked, and what all parts of the page use.

const $ = id => document.getElementById(id);

/// An element with properties and children; text is always text.
function el(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const PHASES = ["upload", "queue", "fetch", "prepare", "run", "store"];
const MEANS = {
  upload: "upload of inputs", queue: "waiting for the worker", fetch: "fetching inputs", prepare: "setting up",
  run: "running", store: "storing outputs", back: "way back",
};

function time(us) {
  if (us === null || us === undefined) return "";
  if (us === 0) return "0";
  if (us < 1000) return us + " µs";
  if (us < 1e6) return (us / 1e3).toFixed(us < 1e4 ? 1 : 0) + " ms";
  if (us < 6e7) return (us / 1e6).toFixed(2) + " s";
  return Math.floor(us / 6e7) + " min " + Math.round(us % 6e7 / 1e6) + " s";
}

/// A moment on an axis whose marks are so far apart.
function mark(us, each) {
  if (us === 0 || each < 1e6) return time(Math.round(us));
  const seconds = Math.round(us / 1e6);
  return seconds < 60 ? seconds + " s" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < 4) { bytes /= 1024; unit++; }
  return (unit ? bytes.toFixed(1) : bytes) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

const word = (column, place) => column.words[column.of[place]];

async function unpack() {
  const packed = Uint8Array.from(atob($("data").textContent), char => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/// Adds what is found quicker with an index.
function prepare(data) {
  const { steps, attempts } = data, count = steps.label.length;
  data.count = count;
  data.end = Math.max(data.wall, 1);
  data.ofStep = Array.from({ length: count }, () => []);
  data.ofLane = Array.from({ length: data.lanes.length }, () => []);
  data.users = new Map();
  data.isCritical = new Uint8Array(count);
  data.critical.forEach(place => data.isCritical[place] = 1);
  attempts.step.forEach((step, at) => {
    data.ofStep[step].push(at);
    data.ofLane[attempts.lane[at]].push(at);
    data.end = Math.max(data.end, attempts.ended[at]);
  });
  data.ofLane.forEach(lane => lane.sort((a, b) => attempts.sent[a] - attempts.sent[b]));
  // The lagging ones are those that a duplicate was sent for.
  data.lags = new Uint8Array(attempts.step.length);
  for (const of of data.ofStep) {
    if (of.some(at => attempts.duplicate[at])) of.forEach(at => { if (!attempts.duplicate[at]) data.lags[at] = 1; });
  }
  steps.needs.forEach((needs, place) => needs.forEach(need => {
    if (need >= count) return;
    if (!data.users.has(need)) data.users.set(need, []);
    data.users.get(need).push(place);
  }));
  data.search = Array.from({ length: count }, (_, place) => [steps.label[place], word(steps.kind, place),
    word(steps.tool, place), word(steps.served, place), word(steps.engine, place)].join(" ").toLowerCase());
  return data;
}

/// The phases of a try, from its beginning: name, begin, end.
function phasesOf(data, at) {
  const { attempts } = data, found = [];
  let from = attempts.sent[at];
  PHASES.forEach((name, phase) => {
    const length = attempts.phases[phase][at];
    if (length > 0) found.push([name, from, from + length]);
    from += length;
  });
  if (from < attempts.ended[at]) found.push(["back", from, attempts.ended[at]]);
  return found;
}

/// Calls that ran here stand in lanes too: their tries have numbers beyond those of the steps.
const isHere = (data, at) => at >= data.attempts.step.length;
