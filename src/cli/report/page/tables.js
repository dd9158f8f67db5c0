// The list of steps, the description of one, and what all of them come to.

const ROW = 24, MOST_LINKS = 12;

const COLUMNS = [
  ["step", (s, i) => s.label[i]],
  ["kind", (s, i) => word(s.kind, i)],
  ["tool", (s, i) => word(s.tool, i)],
  ["result", (s, i) => word(s.served, i)],
  ["engine", (s, i) => word(s.engine, i)],
  ["inferred", (s, i) => s.inferred[i], time],
  ["waited", (s, i) => s.waited[i], time],
  ["on worker", (s, i) => s.took[i], time],
  ["CPU", (s, i) => s.cpu[i], time],
  ["memory", (s, i) => s.peak[i] * 1024, size],
  ["output", (s, i) => s.output[i], size],
];

class Table {
  constructor(data, choose) {
    Object.assign(this, { data, choose, sorted: null, down: true, chosen: null });
    const { steps, attempts } = data;
    // From when it could have run to when a worker was asked for it.
    steps.waited = steps.ready.map((ready, place) => {
      const first = data.ofStep[place].length ? Math.min(...data.ofStep[place].map(at => attempts.sent[at])) : ready;
      return ready === null ? 0 : Math.max(first - ready, 0);
    });
    $("columns").replaceChildren(...COLUMNS.map(([name, , show], column) =>
      el("span", { role: "columnheader", className: show ? "n" : "" },
        el("button", { onclick: () => this.sort(column) }, name))));
    this.box = $("table");
    this.box.addEventListener("scroll", () => this.draw());
    this.box.addEventListener("keydown", event => this.key(event));
    $("search").addEventListener("input", () => this.filter());
    $("commands").addEventListener("change", () => this.filter());
    this.filter();
  }

  filter() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), { data } = this;
    const whole = Array.from({ length: data.count }, (_, place) => place);
    const texts = $("commands").checked ? this.commands() : data.search;
    this.found = words.length ? whole.filter(place => words.every(word => texts[place].includes(word))) : whole;
    $("found").textContent = `${this.found.length} of ${data.count}`;
    this.order();
  }

  /// What is searched where command lines count: made when it is first wanted, since it is long.
  commands() {
    const { data } = this, { command, directory } = data.steps;
    data.searchCommands ||= data.search.map((text, place) =>
      `${text} ${word(directory, place)} ${command[place]}`.toLowerCase());
    return data.searchCommands;
  }

  sort(column) {
    this.down = this.sorted === column ? !this.down : Boolean(COLUMNS[column][2]);
    this.sorted = column;
    this.order();
  }

  order() {
    if (this.sorted === null) this.found.sort((a, b) => a - b);
    else {
      const get = COLUMNS[this.sorted][1], { steps } = this.data, sign = this.down ? -1 : 1;
      const keys = new Map(this.found.map(place => [place, get(steps, place)]));
      this.found.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return x < y ? -sign : x > y ? sign : a - b;
      });
    }
    $("space").style.height = this.found.length * ROW + "px";
    this.box.scrollTop = 0;
    this.draw();
  }

  draw() {
    const first = Math.max(Math.floor(this.box.scrollTop / ROW) - 5, 0), { steps } = this.data;
    const last = Math.min(first + Math.ceil(this.box.clientHeight / ROW) + 10, this.found.length);
    $("rows").style.top = first * ROW + "px";
    $("rows").replaceChildren(...this.found.slice(first, last).map(place =>
      el("div", { role: "row", className: place === this.chosen ? "row chosen" : "row", onclick: () => this.choose(place) },
        COLUMNS.map(([name, get, show]) => {
          const value = get(steps, place), bad = name === "result" && value === "failed";
          return el("span", { role: "cell", className: show ? "n" : bad ? "failed" : "", title: show ? "" : value },
            show ? (value ? show(value) : "") : value);
        }))));
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (!by || !this.found.length) return;
    event.preventDefault();
    const at = this.found.indexOf(this.chosen);
    const next = Math.min(Math.max(at + by, 0), this.found.length - 1);
    if (next * ROW < this.box.scrollTop) this.box.scrollTop = next * ROW;
    if ((next + 3) * ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = (next + 3) * ROW - this.box.clientHeight;
    this.choose(this.found[next]);
  }
}

/// Everything about one step.
function describe(data, place, choose) {
  const { steps, attempts } = data;
  const links = (name, places) => places.length > 0 && el("p", {}, `${name}: `,
    places.slice(0, MOST_LINKS).flatMap(other =>
      [el("button", { className: "link", onclick: () => choose(other) }, steps.label[other]), "; "]),
    places.length > MOST_LINKS ? `and ${places.length - MOST_LINKS} more` : null);
  const failure = steps.failure[place], at_once = word(steps.at_once, place);
  const facts = [
    ["inferred", steps.inferred[place]], ["ready", steps.ready[place]], ["ended", steps.ended[place]],
    ["program ran", steps.wall[place]], ["CPU", steps.cpu[place]],
  ].filter(([, us]) => us).map(([name, us]) => `${name} ${time(us)}`);
  const bytes = [steps.peak[place] && `memory ${size(steps.peak[place] * 1024)}`, steps.output[place] && `outputs ${size(steps.output[place])}`];
  return [
    el("h3", {}, steps.label[place]),
    el("div", {}, [word(steps.kind, place), word(steps.tool, place), word(steps.served, place), ...facts, ...bytes].filter(Boolean).join(", ")),
    at_once && el("div", {}, "awaited: " + at_once),
    failure && el("div", { className: "failed" }, failure[0]),
    failure && failure[1] && el("pre", { className: "text" }, failure[1]),
    data.ofStep[place].length > 0 && el("table", {},
      el("tr", {}, ["worker", "sent", ...PHASES, "back", "bytes", "end"].map(name => el("th", {}, name))),
      data.ofStep[place].map(at => {
        const phases = Object.fromEntries(phasesOf(data, at).map(([name, from, to]) => [name, to - from]));
        const traffic = attempts.up[at] + attempts.down[at];
        return el("tr", {},
          [data.lanes[attempts.lane[at]].join(" "), time(attempts.sent[at]), ...[...PHASES, "back"].map(name => time(phases[name])),
            traffic ? size(traffic) : "",
            [word(attempts.end, at), attempts.duplicate[at] && "duplicate", attempts.trouble[at]].filter(Boolean).join(", "),
          ].map(text => el("td", {}, text)));
      })),
    links("needs", steps.needs[place].filter(need => need < data.count)),
    links("needed by", data.users.get(place) || []),
    steps.command[place] && el("pre", { className: "text" }, `cd ${word(steps.directory, place)}\n${steps.command[place]}`),
  ].filter(Boolean);
}

/// A titled table of rows, the first column for words.
function listed(title, heads, rows, note) {
  if (!rows.length) return null;
  return el("section", {}, el("h2", {}, title), note && el("p", { className: "hint" }, note),
    el("table", {},
      el("tr", {}, heads.map((head, at) => el("th", { className: at ? "n" : "" }, head))),
      rows.map(row => el("tr", {}, row.map((cell, at) => el("td", { className: at ? "n" : "l" }, cell))))));
}

function groups(data, column) {
  const { steps, attempts } = data, found = new Map();
  for (let place = 0; place < data.count; place++) {
    const name = word(column, place);
    if (!found.has(name)) found.set(name, { name, steps: 0, executed: 0, cached: 0, run: 0, cpu: 0, output: 0 });
    const group = found.get(name), served = word(steps.served, place);
    group.steps++;
    group.executed += served === "executed";
    group.cached += served === "cached";
    group.cpu += served === "executed" ? steps.cpu[place] : 0;
    group.output += steps.output[place];
    for (const at of data.ofStep[place]) group.run += attempts.phases[4][at];
  }
  return [...found.values()].sort((a, b) => b.run - a.run || b.steps - a.steps);
}

function overview(data, choose) {
  const { steps } = data, most = 15;
  const link = place =>
    el("button", { className: "link", title: steps.label[place], onclick: () => choose(place) }, steps.label[place]);
  const grouped = (title, column) => {
    const all = groups(data, column), others = all.length - most;
    return listed(title, ["", "steps", "executed", "cached", "ran", "CPU", "output"], all.slice(0, most).map(group =>
      [group.name, group.steps, group.executed, group.cached, time(group.run), time(group.cpu), size(group.output)]),
      others > 0 && `and ${others} more`);
  };
  const slowest = Array.from({ length: data.count }, (_, place) => place).filter(place => steps.took[place])
    .sort((a, b) => steps.took[b] - steps.took[a]).slice(0, most);
  const reasons = new Map();
  for (const [call] of data.here) {
    const key = call.tool + " " + call.reason, known = reasons.get(key) || [0, 0];
    reasons.set(key, [known[0] + 1, known[1] + (call.ended_us ? call.ended_us - call.began_us : 0)]);
  }
  return [
    data.against && listed(`Against ${data.against.name}`, ["", "what", "before", "now"],
      data.against.differences.slice(0, 200).map(([change, place, label, before, now]) =>
        [place === null ? label : link(place), change, time(before), time(now)]),
      `${time(data.against.wall)} before, ${time(data.wall)} now; ${data.against.differences.length} steps differ`),
    listed("Slowest steps", ["", "kind", "on worker", "CPU"], slowest.map(place =>
      [link(place), word(steps.kind, place), time(steps.took[place]), time(steps.cpu[place])])),
    listed("Critical path", ["", "kind", "on worker"], data.critical.slice(0, 60).map(place =>
      [link(place), word(steps.kind, place), time(steps.took[place])]),
      `${time(data.critical_us)} in ${data.critical.length === 1 ? "1 step" : data.critical.length + " steps, each of which needed what is before it"}: no number of workers makes it shorter`),
    grouped("By kind", steps.kind),
    grouped("By tool", steps.tool),
    grouped("By folder", steps.folder),
    listed("Ran here and now", ["", "calls", "time"], [...reasons].sort((a, b) => b[1][0] - a[1][0])
      .map(([reason, [calls, us]]) => [reason, calls, time(us)])),
    listed("Called past gg", ["", "calls"], Object.entries(data.bypassed)),
    ...data.engines.filter(engine => Object.keys(engine.counts).length).map(engine => listed(
      `Engine ${engine.name}, at most ${engine.jobs} at once`, ["", ""],
      [["cost", "$" + engine.dollars.toFixed(4)], ...(engine.down ? [[engine.down, ""]] : []),
        ...Object.entries(engine.counts).map(([name, count]) => [name.replaceAll("_", " "),
          /_us$/.test(name) ? time(count) : /bytes/.test(name) ? size(count) : String(count)])])),
    data.notices.length > 0 && el("section", {}, el("h2", {}, "Notes"), data.notices.slice(0, 100).map(notice => el("p", {}, notice))),
  ].filter(Boolean);
}

function legend() {
  const items = [...PHASES.map(name => [name, MEANS[name]]), ["back", MEANS.back], ["bad", "failed, or lagged (below)"],
    ["mark", "a duplicate (above)"], ["beaten", "answered too late"], ["here", "ran here"]];
  $("legend").replaceChildren(...items.flatMap(([name, text]) =>
    [el("i", { style: `background: var(--${name})` }), text]));
}

async function main() {
  const data = prepare(await unpack());
  $("started").textContent = new Date(Number($("started").textContent) * 1000).toLocaleString();
  document.querySelector("main").hidden = false;
  const choose = place => {
    table.chosen = place;
    $("step").replaceChildren(...describe(data, place, choose));
    table.draw();
    timeline.reveal(place);
  };
  legend();
  const table = new Table(data, choose), timeline = new Timeline(data, choose);
  $("others").replaceChildren(...overview(data, choose));
  document.documentElement.dataset.ready = "yes";
}

main().catch(error => {
  $("problem").textContent = "This page cannot be drawn: " + error;
  $("problem").hidden = false;
  throw error;
});
