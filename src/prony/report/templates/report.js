"use strict";
// Draws courses of trials and curves with uPlot, which stands above this in the same script; no request leaves the page.
(() => {
  const { courses, curves } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  const AXIS_WIDTH = 54; // the same in every chart, so that their time axes stand under each other
  const PAPER_WIDTH = 640;

  // The same texts as prony/report/figures.py writes.
  const short = (value) => {
    if (value == null) return "–";
    return Math.abs(value) < 9.95 ? String(+value.toFixed(1)) : Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, " ");
  };
  const duration = (s) => {
    if (s == null) return "–";
    if (s === 0) return "0 ms";
    if (s < 0.0009995) return (s * 1e6).toFixed(0) + " µs";
    if (s < 0.00995) return (s * 1e3).toFixed(1) + " ms";
    if (s < 0.9995) return (s * 1e3).toFixed(0) + " ms";
    return s.toFixed(s < 9.995 ? 2 : 1) + " s";
  };
  const tick = (s) => (s === 0 ? "0" : s < 0.001 ? +(s * 1e6).toPrecision(3) + " µs" : s < 1 ? +(s * 1e3).toPrecision(3) + " ms" : +s.toPrecision(3) + " s");
  const seen = (values) => values.filter((value) => value != null);
  const constant = (like, value) => like.map(() => value);

  // 1, 10, 100; with few decades also 2 and 5 in between.
  const logSplits = (u, axis, low, high) => {
    const steps = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const step of steps) {
        const value = step * 10 ** power;
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    return found;
  };

  const line = (label, values, stroke, text, more) => ({ values, series: { label, stroke: colour(stroke), width: 1.75, points: { show: false }, value: (u, v, i, at) => (at == null ? "" : text(v)), ...more } });

  // What to draw of a course: a title, the height, lines, and the scale.
  function charts(course, levels) {
    const found = [{
      title: "Requests per second",
      height: 210,
      text: short,
      lines: [
        line("offered", course.offered_rps, "offered", short, { dash: [5, 4], width: 1.25 }),
        line("right answers", course.right_rps, "right", short, { width: 2.25 }),
        line("failed", course.failed_rps, "failed", short, { dash: [1, 3], width: 2.25, cap: "round" }),
      ],
    }];
    const latencies = seen([...course.p50_s, ...course.p99_s]).filter((value) => value > 0);
    if (latencies.length) {
      const log = Math.max(...latencies) / Math.min(...latencies) > 20;
      found.push({
        title: log ? "Latency, on a logarithmic scale" : "Latency",
        height: 180,
        text: duration,
        log,
        lines: [
          line("p50", course.p50_s, "right", duration, { width: 2.25, spanGaps: false }),
          line("p99", course.p99_s, "failed", duration, { dash: [6, 3], spanGaps: false }),
        ],
      });
    }
    const level = (title, label, values, limit, name) => {
      if (!seen(values).length) return;
      // read every 250 ms, drawn in bins that may be shorter: a bin without a reading is no gap
      const lines = [line(label, values, "right", short, { width: 2.25, spanGaps: true })];
      if (limit != null) lines.push(line(name, constant(values, limit), "failed", short, { dash: [6, 4], width: 1.25 }));
      found.push({ title, height: 130, text: short, lines });
    };
    level("Database connections", "open", course.connections, course.connections_limit, "limit");
    if (levels) level("Requests in the app", "in the app", course.in_flight, course.slots, "slots");
    return found;
  }

  // Trials as dots that no line joins: between two loads nothing was measured. Hollow ones are told apart on paper too.
  const dots = (label, values, stroke, text, more) => {
    const hollow = more?.hollow;
    const points = { show: true, size: 7, width: 1.75, stroke: colour(stroke), fill: colour(hollow ? "paper" : stroke) };
    return { values, hollow, series: { label, stroke: colour(stroke), paths: () => null, points, value: (u, v, i, at) => (at == null ? "" : text(v)) } };
  };
  const percent = (part) => (part == null ? "–" : (part > 0 && part < 0.0005 ? "<0.1" : +(part * 100).toPrecision(2)) + " %");
  const HUES = ["right", "failed", "chosen-ink", "offered", "void-ink", "ink"];

  // What to draw of a curve: the same loads below each other, the capacity's range shaded in all.
  function curveCharts(curve) {
    const most = Math.max(...curve.load, ...curve.intervals.map((each) => each.high ?? 0)) * 1.05;
    const x = { text: (v) => short(v) + (curve.unit === "users" ? " users" : " rps"), label: "load", range: [0, most] };
    const shade = (u) => shadeIntervals(u, curve.intervals);
    const common = { x, dots: true, hooks: { drawClear: [shade] } };
    const found = [{
      ...common,
      title: "Right answers per second",
      height: 230,
      text: short,
      lines: [
        ...(curve.unit === "rps" ? [line("asked for", curve.load, "offered", short, { dash: [5, 4], width: 1.25 })] : []),
        dots("limits held", curve.held_rps, "right", short),
        dots("limits broken", curve.broke_rps, "failed", short, { hollow: true }),
        ...(seen(curve.unsure_rps).length ? [dots("not to be believed", curve.unsure_rps, "offered", short, { hollow: true })] : []),
      ],
    }];
    const { p50, p90, p99 } = curve.latency_s;
    const latencies = seen([...p50, ...p90, ...p99]).filter((value) => value > 0);
    if (latencies.length || curve.backlog.some(Boolean)) {
      const log = latencies.length && Math.max(...latencies) / Math.min(...latencies) > 20;
      found.push({
        ...common,
        title: (log ? "Latency, on a logarithmic scale" : "Latency") + (curve.backlog.some(Boolean) ? "; ▲ the backlog grew: none to tell" : ""),
        height: 200,
        text: duration,
        log,
        lines: [
          dots("p50", p50, "right", duration),
          dots("p90", p90, "offered", duration, { hollow: true }),
          dots("p99", p99, "failed", duration),
        ],
        hooks: { drawClear: [shade], draw: [(u) => markGrowth(u, curve)] },
      });
    }
    found.push({ ...common, title: "Failed requests", height: 110, text: percent, least: 0.01, lines: [dots("failed", curve.errors, "failed", percent)] });
    if (curve.utilisation.length)
      found.push({
        ...common,
        title: "In use of each tier",
        height: 200,
        text: percent,
        least: 1,
        lines: curve.utilisation.map((each, i) => dots(each.name, each.values, HUES[i % HUES.length], percent, { hollow: i % 2 === 1 })),
      });
    return found;
  }

  function shadeIntervals(u, intervals) {
    const { ctx, bbox } = u;
    ctx.save();
    intervals.forEach(({ low, high }, i) => {
      const left = low == null ? bbox.left : u.valToPos(low, "x", true);
      const right = high == null ? bbox.left + bbox.width : u.valToPos(high, "x", true);
      ctx.globalAlpha = i === 0 && low != null && high != null ? 0.16 : 0.08;
      ctx.fillStyle = colour("right");
      ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height);
    });
    ctx.restore();
  }

  // A triangle at the upper edge for each trial whose backlog grew.
  function markGrowth(u, curve) {
    const { ctx, bbox } = u;
    const size = 4.5 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = colour("failed");
    curve.load.forEach((load, i) => {
      if (!curve.backlog[i]) return;
      const at = u.valToPos(load, "x", true);
      ctx.beginPath();
      ctx.moveTo(at, bbox.top + 1);
      ctx.lineTo(at - size, bbox.top + 1 + 1.7 * size);
      ctx.lineTo(at + size, bbox.top + 1 + 1.7 * size);
      ctx.fill();
    });
    ctx.restore();
  }

  function options(chart, width, sync) {
    const axis = { stroke: colour("quiet"), font: FONT, grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
    const range = chart.log
      ? (u, low, high) => [10 ** (Math.floor(Math.log10(low) * 2) / 2), 10 ** (Math.ceil(Math.log10(high) * 2) / 2)]
      : (u, low, high) => [0, Math.max(high > 0 ? high : 1e-9, chart.least ?? (high > 0 ? 0 : 1)) * 1.1];
    const x = chart.x ?? { text: (v) => v + " s", label: "at" };
    return {
      width,
      height: chart.height,
      padding: [8, 12, 0, 0],
      cursor: { sync: { key: sync }, drag: { x: false, y: false }, y: false },
      hooks: chart.hooks ?? {},
      legend: { markers: { width: 2, fill: (u, i) => (!chart.dots || i === 0 || chart.lines[i - 1].series.dash || chart.lines[i - 1].hollow ? "transparent" : u.series[i].stroke(u, i)), stroke: (u, i) => u.series[i].stroke(u, i), dash: (u, i) => (i === 0 || !u.series[i].dash ? "solid" : u.series[i].dash[0] < 2 ? "dotted" : "dashed") } },
      scales: { x: { time: false, ...(x.range && { range: () => x.range }) }, y: chart.log ? { distr: 3, range } : { range } },
      axes: [
        { ...axis, size: 26, gap: 4, values: (u, splits) => splits.map(x.text) },
        { ...axis, size: AXIS_WIDTH, gap: 6, splits: chart.log ? logSplits : undefined, filter: (u, splits) => splits, values: (u, splits) => splits.map(chart.text === duration ? tick : chart.text) },
      ],
      series: [{ label: x.label, value: (u, v, i, at) => (at == null ? "" : chart.x ? x.text(v) : v.toFixed(1) + " s") }, ...chart.lines.map((one) => one.series)],
    };
  }

  const drawings = [];
  for (const figure of document.querySelectorAll(".course, .curve")) {
    const course = courses[Number(figure.dataset.course)];
    const curve = curves[Number(figure.dataset.curve)];
    const of = curve
      ? { x: curve.load, over: "load", sync: "curve-" + figure.dataset.curve, charts: () => curveCharts(curve) }
      : { x: course.t_s, over: "time", sync: "course-" + figure.dataset.course, charts: () => charts(course, "levels" in figure.dataset) };
    const drawing = { figure, ...of, width: 0, plots: [] };
    drawings.push(drawing);
    draw(drawing);
    const later = () => requestAnimationFrame(() => draw(drawing));
    new ResizeObserver(later).observe(figure);
    figure.closest("details")?.addEventListener("toggle", later);
  }

  // Draws anew where the width is another than before; nothing inside a closed <details>.
  function draw(drawing, force = false) {
    const { figure } = drawing;
    const room = Math.floor(figure.clientWidth);
    const width = root.classList.contains("printing") ? PAPER_WIDTH : room;
    if (figure.checkVisibility?.() === false) return;
    if (room < 100 || (width === drawing.width && !force)) return;
    drawing.width = width;
    for (const { plot, box } of drawing.plots) {
      plot.destroy();
      box.remove();
    }
    drawing.plots = drawing.charts().map((chart) => {
      const box = document.createElement("div");
      box.className = chart.dots ? "plot dots" : "plot";
      const title = document.createElement("p");
      title.textContent = chart.title;
      box.append(title);
      figure.append(box);
      const data = [drawing.x, ...chart.lines.map((one) => one.values)];
      const plot = new uPlot(options(chart, width, drawing.sync), data, box);
      plot.ctx.canvas.setAttribute("role", "img");
      plot.ctx.canvas.setAttribute("aria-label", chart.title + " over " + drawing.over + ": " + chart.lines.map((one) => one.series.label).join(", "));
      return { plot, box };
    });
  }

  const redraw = () => drawings.forEach((drawing) => draw(drawing, true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
    root.classList.add("printing");
    redraw();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const details of closed) details.open = false;
    redraw();
  });

  // A link to a row of a closed table opens it.
  const reveal = () => {
    const details = document.getElementById(location.hash.slice(1))?.closest("details");
    if (details) details.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  for (const button of document.querySelectorAll("button[data-copies]")) {
    const source = document.getElementById(button.dataset.copies);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }
})();
