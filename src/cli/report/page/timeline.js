// The timeline of workers, and how many of them were busy.

class Timeline {
  constructor(data, choose) {
    this.data = data;
    this.choose = choose;
    this.canvas = $("timeline");
    this.chart = $("parallel");
    this.tip = $("tip");
    this.height = Math.min(Math.max(data.lanes.length * 18, 120), 520);
    this.canvas.style.height = this.height + "px";
    this.chosen = null;
    this.busy = this.counts(at => {
      const { attempts: { sent, ended, phases } } = this.data;
      const from = sent[at] + phases[0][at] + phases[1][at];
      return [Math.min(from, ended[at]), ended[at]];
    }, data.attempts.step.length);
    const { ready, ended } = data.steps;
    this.waiting = this.counts(place => {
      const first = data.ofStep[place].map(at => data.attempts.sent[at]);
      return ready[place] === null ? null : [ready[place], first.length ? Math.min(...first) : ended[place]];
    }, data.count);
    this.reset();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /// How many intervals hold each moment: times, counts after them, and the integral up to them.
  counts(interval, length) {
    const events = [];
    for (let at = 0; at < length; at++) {
      const found = interval(at);
      if (found && found[1] > found[0]) events.push([found[0], 1], [found[1], -1]);
    }
    events.sort((a, b) => a[0] - b[0]);
    const times = new Float64Array(events.length), counts = new Float64Array(events.length);
    const integral = new Float64Array(events.length);
    let count = 0, sum = 0, last = 0;
    events.forEach(([time, by], at) => {
      sum += count * (time - last);
      count += by;
      [times[at], counts[at], integral[at], last] = [time, count, sum, time];
    });
    return { times, counts, integral };
  }

  average({ times, counts, integral }, from, to) {
    const until = time => {
      let low = 0, high = times.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (times[middle] <= time) low = middle + 1; else high = middle;
      }
      return low ? integral[low - 1] + counts[low - 1] * (time - times[low - 1]) : 0;
    };
    return (until(to) - until(from)) / (to - from);
  }

  reset() {
    [this.t0, this.t1] = [0, this.data.end * 1.01];
    [this.l0, this.l1] = [0, Math.max(this.data.lanes.length, 1)];
    this.draw();
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      this.paint();
      this.paintChart();
    });
  }

  prepare(canvas, height) {
    const scale = devicePixelRatio || 1, width = canvas.clientWidth;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(document.documentElement);
    const colours = {};
    for (const name of [...PHASES, "back", "bad", "beaten", "critical", "waiting", "here", "line", "quiet", "mark", "page"]) {
      colours[name] = style.getPropertyValue("--" + name).trim();
    }
    return { pen, width, colours };
  }

  x(us) { return (us - this.t0) / (this.t1 - this.t0) * this.width; }
  y(lane) { return 18 + (lane - this.l0) / (this.l1 - this.l0) * (this.height - 18); }
  timeAt(x) { return this.t0 + x / this.width * (this.t1 - this.t0); }
  laneAt(y) { return this.l0 + (y - 18) / (this.height - 18) * (this.l1 - this.l0); }

  ticks(pen, colours, height, labels) {
    const span = this.t1 - this.t0, raw = span / Math.max(this.width / 110, 1);
    const power = 10 ** Math.floor(Math.log10(raw));
    const each = [1, 2, 5, 10].map(times => times * power).find(step => step >= raw);
    pen.font = "11px system-ui, sans-serif";
    for (let at = Math.ceil(this.t0 / each) * each; at < this.t1; at += each) {
      pen.fillStyle = colours.line;
      pen.fillRect(this.x(at), 0, 1, height);
      pen.fillStyle = colours.quiet;
      if (labels) pen.fillText(mark(at, each), this.x(at) + 3, 12);
    }
  }

  paint() {
    const { data } = this, { attempts } = data;
    const { pen, width, colours } = this.prepare(this.canvas, this.height);
    this.width = width;
    this.ticks(pen, colours, this.height, true);
    pen.save();
    pen.beginPath();
    pen.rect(0, 18, width, this.height - 18);
    pen.clip();
    const each = this.y(1) - this.y(0), bar = Math.max(each > 5 ? each - 1.5 : each, 0.7);
    const rect = (from, to, y, height, colour, least) => {
      const left = Math.max(this.x(from), -1), right = Math.min(this.x(to), width + 1);
      pen.fillStyle = colour;
      pen.fillRect(left, y, Math.max(right - left, least), height);
    };
    const seen = at => attempts.ended[at] >= this.t0 && attempts.sent[at] <= this.t1 &&
      attempts.lane[at] + 1 >= this.l0 && attempts.lane[at] <= this.l1;
    const pixel = (this.t1 - this.t0) / width;
    for (let at = 0; at < attempts.step.length; at++) {
      if (!seen(at)) continue;
      const y = this.y(attempts.lane[at]), end = word(attempts.end, at);
      const bad = end !== "done" && end !== "beaten";
      if (attempts.ended[at] - attempts.sent[at] < 2 * pixel) {
        rect(attempts.sent[at], attempts.ended[at], y, bar, bad ? colours.bad : colours.run, 0.8);
        continue;
      }
      if (end === "beaten") {
        rect(attempts.sent[at], attempts.ended[at], y + bar / 4, bar / 2, colours.beaten, 0.8);
      } else {
        // On its way it has no worker yet: the one of its lane may be busy with another step.
        for (const [name, from, to] of phasesOf(data, at)) {
          const thin = name === "upload" || name === "queue" || name === "back";
          rect(from, to, thin ? y + bar * .375 : y, thin ? bar / 4 : bar, colours[name], 0.3);
        }
      }
      if (bad) rect(attempts.sent[at], attempts.ended[at], y + bar * .7, Math.max(bar * .3, .5), colours.bad, 1);
      if (data.lags[at] && bar > 3) rect(attempts.sent[at], attempts.ended[at], y + bar - 1.5, 1.5, colours.bad, 1);
      if (attempts.duplicate[at] && bar > 3) rect(attempts.sent[at], attempts.ended[at], y, 1.5, colours.mark, 1);
    }
    for (const [call, lane] of data.here) {
      rect(call.began_us, call.ended_us || call.began_us, this.y(lane), bar, colours.here, 1.5);
    }
    if (data.command_ended && data.end - data.command_ended > pixel) {
      pen.fillStyle = colours.mark;
      pen.fillRect(this.x(data.command_ended), 18, 1.5, this.height);
      pen.font = "10px system-ui, sans-serif";
      const said = "the command had ended", x = this.x(data.command_ended) + 1.5;
      pen.fillRect(x, this.height - 15, pen.measureText(said).width + 7, 15);
      pen.fillStyle = colours.page;
      pen.fillText(said, x + 3, this.height - 4);
    }
    if ($("critical").checked) this.paintCritical(pen, colours, bar);
    if (this.chosen !== null) {
      pen.strokeStyle = colours.mark;
      pen.lineWidth = 2;
      for (const at of data.ofStep[this.chosen]) this.outline(pen, at, bar);
    }
    if (each > 11) {
      pen.font = "10px system-ui, sans-serif";
      pen.fillStyle = colours.quiet;
      data.lanes.forEach(([engine, name], lane) => {
        if (lane + 1 > this.l0 && lane < this.l1) pen.fillText(engine + " " + name, 3, this.y(lane) + each / 2 + 3);
      });
    }
    pen.restore();
  }

  outline(pen, at, bar) {
    const { attempts } = this.data, y = this.y(attempts.lane[at]);
    const left = this.x(attempts.sent[at]), right = this.x(attempts.ended[at]);
    pen.strokeRect(left, y - 1, Math.max(right - left, 3), Math.max(bar + 1, 4));
  }

  paintCritical(pen, colours, bar) {
    const { data } = this;
    pen.strokeStyle = colours.critical;
    pen.lineWidth = 1.5;
    let before = null;
    for (const place of data.critical) {
      const at = data.ofStep[place].findLast(at => word(data.attempts.end, at) !== "beaten");
      if (at === undefined) continue;
      this.outline(pen, at, bar);
      const x = this.x(data.attempts.sent[at]), y = this.y(data.attempts.lane[at]) + bar / 2;
      if (before) {
        pen.beginPath();
        pen.moveTo(...before);
        pen.lineTo(x, y);
        pen.stroke();
      }
      before = [this.x(data.attempts.ended[at]), y];
    }
  }

  paintChart() {
    const { pen, width, colours } = this.prepare(this.chart, 90);
    this.ticks(pen, colours, 90, false);
    const pixel = (this.t1 - this.t0) / width, busy = [], waiting = [];
    for (let x = 0; x < width; x++) {
      const from = this.t0 + x * pixel;
      busy.push(this.average(this.busy, from, from + pixel));
      waiting.push(this.average(this.waiting, from, from + pixel));
    }
    const most = busy.reduce((a, b) => Math.max(a, b), 1), scale = 70 / most;
    pen.fillStyle = colours.waiting;
    waiting.forEach((count, x) => pen.fillRect(x, 90 - Math.min((busy[x] + count) * scale, 78), 1, Math.min(count * scale, 78)));
    pen.fillStyle = colours.run;
    busy.forEach((count, x) => pen.fillRect(x, 90 - count * scale, 1, count * scale));
    pen.fillStyle = colours.quiet;
    pen.font = "11px system-ui, sans-serif";
    pen.fillText("at most " + most.toFixed(most < 10 ? 1 : 0) + " at once; yellow: ready and waiting for a worker", 4, 12);
  }

  /// The try, or the call that ran here, at a place of the canvas.
  find(x, y) {
    const { data } = this, { attempts } = data, at = this.timeAt(x);
    const slack = 3 * (this.t1 - this.t0) / this.width;
    const lane = this.laneAt(y), around = Math.max(this.laneAt(y + 1.5) - lane, 0);
    let best = null, distance = Infinity;
    const look = (number, from, to) => {
      const away = at < from ? from - at : Math.max(at - to, 0);
      if (away <= slack && away < distance) [best, distance] = [number, away];
    };
    const first = Math.max(Math.floor(lane - around), 0), last = Math.min(Math.floor(lane + around), data.lanes.length - 1);
    for (let l = first; l <= last; l++) {
      for (const number of data.ofLane[l]) {
        if (attempts.sent[number] > at + slack) break;
        look(number, attempts.sent[number], attempts.ended[number]);
      }
    }
    data.here.forEach(([call, l], number) => {
      if (l >= first && l <= last) look(attempts.step.length + number, call.began_us, call.ended_us || call.began_us);
    });
    return best;
  }

  show(x, y, number) {
    const { data, tip } = this;
    if (number === null) { tip.hidden = true; return; }
    tip.replaceChildren(...(isHere(data, number) ? describeHere(data, number) : describeAttempt(data, number)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(Math.min(x + 14, innerWidth - box.width - 8), 4) + "px";
    tip.style.top = Math.max(y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18, 4) + "px";
  }

  zoom(factor, x) {
    const at = this.timeAt(x === undefined ? this.width / 2 : x);
    const span = Math.min(Math.max((this.t1 - this.t0) * factor, 50), this.data.end * 1.05);
    const part = (at - this.t0) / (this.t1 - this.t0);
    this.pan(at - part * span, span);
  }

  pan(t0, span) {
    const most = Math.max(this.data.end * 1.05 - span, 0);
    this.t0 = Math.min(Math.max(t0, 0), most);
    this.t1 = this.t0 + span;
    this.draw();
  }

  lanes(factor, y) {
    const count = Math.max(this.data.lanes.length, 1), at = this.laneAt(y === undefined ? this.height / 2 : y);
    const span = Math.min(Math.max((this.l1 - this.l0) * factor, Math.min(3, count)), count);
    this.panLanes(at - (at - this.l0) / (this.l1 - this.l0) * span, span);
  }

  panLanes(l0, span) {
    const count = Math.max(this.data.lanes.length, 1);
    this.l0 = Math.min(Math.max(l0, 0), count - span);
    this.l1 = this.l0 + span;
    this.draw();
  }

  /// Brings a step into view.
  reveal(place) {
    this.chosen = place;
    const { data } = this, at = data.ofStep[place].at(-1);
    if (at !== undefined) {
      const lane = data.attempts.lane[at], sent = data.attempts.sent[at], span = this.t1 - this.t0;
      if (lane < this.l0 || lane + 1 > this.l1) this.panLanes(lane - (this.l1 - this.l0) / 2, this.l1 - this.l0);
      if (sent < this.t0 || sent > this.t1) this.pan(sent - span / 3, span);
    }
    this.draw();
  }

  listen() {
    const { canvas } = this;
    let drag = null;
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      const factor = Math.exp(Math.sign(event.deltaY || event.deltaX) * .25);
      if (event.shiftKey) this.lanes(factor, event.offsetY);
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const span = this.t1 - this.t0;
        this.pan(this.t0 + event.deltaX / this.width * span, span);
      } else this.zoom(factor, event.offsetX);
    }, { passive: false });
    canvas.addEventListener("pointerdown", event => {
      drag = { x: event.offsetX, y: event.offsetY, t0: this.t0, l0: this.l0, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", event => {
      if (!drag) return this.show(event.clientX, event.clientY, this.find(event.offsetX, event.offsetY));
      const x = event.offsetX - drag.x, y = event.offsetY - drag.y;
      drag.moved ||= Math.abs(x) + Math.abs(y) > 4;
      if (!drag.moved) return;
      this.tip.hidden = true;
      const span = this.t1 - this.t0, lanes = this.l1 - this.l0;
      this.pan(drag.t0 - x / this.width * span, span);
      this.panLanes(drag.l0 - y / (this.height - 18) * lanes, lanes);
    });
    canvas.addEventListener("pointerup", event => {
      const found = drag && !drag.moved ? this.find(event.offsetX, event.offsetY) : null;
      drag = null;
      if (found !== null && !isHere(this.data, found)) this.choose(this.data.attempts.step[found]);
    });
    canvas.addEventListener("pointerleave", () => this.tip.hidden = true);
    canvas.addEventListener("keydown", event => this.key(event));
    $("zoom-in").onclick = () => this.zoom(.5);
    $("zoom-out").onclick = () => this.zoom(2);
    $("taller").onclick = () => this.lanes(.5);
    $("lower").onclick = () => this.lanes(2);
    $("reset").onclick = () => this.reset();
    $("critical").onchange = () => this.draw();
  }

  key(event) {
    const span = this.t1 - this.t0, lanes = this.l1 - this.l0, { data } = this;
    const next = by => {
      const place = this.chosen === null ? (by > 0 ? 0 : data.count - 1) : this.chosen + by;
      if (place >= 0 && place < data.count) this.choose(place);
    };
    const keys = {
      "+": () => this.zoom(.5), "=": () => this.zoom(.5), "-": () => this.zoom(2), "0": () => this.reset(),
      "]": () => this.lanes(.5), "[": () => this.lanes(2), n: () => next(1), p: () => next(-1),
      ArrowLeft: () => this.pan(this.t0 - span / 8, span), ArrowRight: () => this.pan(this.t0 + span / 8, span),
      ArrowUp: () => this.panLanes(this.l0 - lanes / 8, lanes), ArrowDown: () => this.panLanes(this.l0 + lanes / 8, lanes),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }
}

function describeAttempt(data, at) {
  const { steps, attempts } = data, place = attempts.step[at], [engine, worker] = data.lanes[attempts.lane[at]];
  const marks = [word(attempts.end, at), attempts.duplicate[at] && "a duplicate", data.lags[at] && "lagged",
    attempts.cold[at] && "cold start", data.isCritical[place] && "on the critical path"].filter(Boolean);
  return [
    el("strong", {}, steps.label[place]),
    el("div", {}, `${word(steps.kind, place)}, ${engine} ${worker}: ${marks.join(", ")}`),
    el("table", {}, phasesOf(data, at).map(([name, from, to]) =>
      el("tr", {}, el("td", {}, MEANS[name]), el("td", { className: "n" }, time(to - from))))),
    data.attempts.trouble[at] && el("div", { className: "failed" }, data.attempts.trouble[at]),
  ].filter(Boolean);
}

function describeHere(data, number) {
  const [call] = data.here[number - data.attempts.step.length];
  return [el("strong", {}, call.tool + " ran here"), el("div", {}, call.reason),
    el("div", {}, call.ended_us ? time(call.ended_us - call.began_us) : ""), el("div", { className: "text" }, call.command)];
}
