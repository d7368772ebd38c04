// Glue between the page and uPlot: fetches what a chart shows, draws it in the page's colours, follows size and theme.
// Everything a chart shows stands in the page as a sentence and a table too.
"use strict";
(() => {
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function figures(decimal) {
    return (v) => {
      if (v === null || v === undefined) return "–";
      const a = Math.abs(v);
      const text = a !== 0 && (a >= 1e6 || a < 1e-4) ? v.toExponential(1) : String(Number(v.toPrecision(3)));
      return text.replace("-", "−").replace(".", decimal);
    };
  }

  function axis(extra) {
    return { stroke: colour("--ink-2"), font: FONT, ticks: { stroke: colour("--line"), size: 4 },
      grid: { stroke: colour("--line"), width: 1 }, ...extra };
  }

  function drawLimits(u, data, words) {
    const { ctx } = u;
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * devicePixelRatio}px`);
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    for (const limit of data.limits ?? []) {
      const y = u.valToPos(limit.value, "y", true);
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
      ctx.strokeStyle = ctx.fillStyle = colour({ limit_c: "--c-line", limit_d: "--d-line", limit: "--c-line" }[limit.kind] ?? "--ink-3");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(u.bbox.left, y);
      ctx.lineTo(u.bbox.left + u.bbox.width, y);
      ctx.stroke();
      ctx.fillStyle = colour({ limit_c: "--c-ink", limit_d: "--d-ink", limit: "--c-ink" }[limit.kind] ?? "--ink-2");
      ctx.fillText(words[limit.kind] ?? "", u.bbox.left + 6 * devicePixelRatio, y - 3 * devicePixelRatio);
    }
    ctx.setLineDash([]);
    for (const mark of data.alerts ?? []) {
      const x = u.valToPos(mark.time_s, "x", true);
      ctx.strokeStyle = ctx.fillStyle = colour(mark.severity === "D" ? "--d-line" : "--c-line");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
      ctx.fillStyle = colour(mark.severity === "D" ? "--d-ink" : "--c-ink");
      const right = x > u.bbox.left + u.bbox.width * 0.8;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(`#${mark.id}`, x + (right ? -5 : 5) * devicePixelRatio, u.bbox.top + 15 * devicePixelRatio);
    }
    ctx.restore();
  }

  function trendOptions(box, data, words) {
    const show = figures(words.decimal);
    const limits = (data.limits ?? []).map((l) => l.value);
    return {
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      scales: { y: { range: (u, low, high) => {
        const top = Math.max(high ?? 1, ...limits);
        const bottom = Math.min(low ?? 0, 0 <= low && low < 0.5 * top ? 0 : low ?? 0);
        return [bottom, top + (top - bottom || 1) * 0.08];
      } } },
      axes: [axis({ space: 64, values: [
        [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
        [3600, "{HH}:{mm}", "\n{MM}-{DD}", null, null, null, null, null, 1],
        [60, "{HH}:{mm}", "\n{MM}-{DD}", null, null, null, null, null, 1],
        [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
      ] }), axis({ size: 58, values: (u, ticks) => ticks.map(show) })],
      series: [
        { label: words.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
        { label: words.mean, stroke: colour("--accent"), width: 1.75,
          points: { show: data.time_s.length < 40, size: 5 }, value: (u, v) => `${show(v)} ${data.unit}` },
        ...(data.thinned ? [
          { label: words.low, stroke: "transparent", points: { show: false }, value: (u, v) => show(v) },
          { label: words.high, stroke: "transparent", points: { show: false }, value: (u, v) => show(v) },
        ] : []),
      ],
      bands: data.thinned ? [{ series: [3, 2], fill: colour("--accent-band") }] : [],
      hooks: { draw: [(u) => drawLimits(u, data, words)] },
    };
  }

  function spectrumOptions(box, data, words) {
    const show = figures(words.decimal);
    return {
      scales: { x: { time: false }, y: { range: (u, low, high) => [0, (high || 1) * 1.08] } },
      axes: [axis({ values: (u, ticks) => ticks.map((v) => `${v}`) }), axis({ size: 58, values: (u, ticks) => ticks.map(show) })],
      series: [
        { label: words.frequency, value: (u, v) => (v === null ? "–" : `${show(v)} Hz`) },
        { label: box.dataset.label, stroke: colour("--accent"), fill: colour("--accent-soft"), width: 1.25,
          points: { show: false }, value: (u, v) => `${show(v)} ${data.unit}` },
      ],
    };
  }

  class Chart {
    constructor(box) {
      this.box = box;
      this.words = JSON.parse(box.dataset.words);
      new ResizeObserver(() => this.fit()).observe(box);
      this.load();
    }

    source() {
      const url = this.box.dataset.source;
      return this.box.dataset.chart === "trend" ? `${url}&bins=${Math.round(this.box.clientWidth / 2)}` : url;
    }

    async load() {
      if (this.loading) return;
      this.loading = true;
      try {
        const answer = await fetch(this.source(), { headers: { accept: "application/json" } });
        if (answer.ok) this.draw(await answer.json());
      } catch { /* no connection: what is drawn stays, and the header says so */ } finally {
        this.loading = false;
      }
    }

    draw(data) {
      this.data = data;
      const trend = this.box.dataset.chart === "trend";
      const columns = !trend ? [data.frequency_hz, data.amplitude]
        : data.thinned ? [data.time_s, data.middle, data.low, data.high] : [data.time_s, data.middle];
      this.box.classList.toggle("empty-chart", !columns[0].length);
      this.plot?.destroy();
      this.plot = null;
      if (!columns[0].length) return;
      const options = (trend ? trendOptions : spectrumOptions)(this.box, data, this.words);
      this.plot = new uPlot({ ...this.size(), legend: { live: true }, cursor: { y: false, drag: { x: true, y: false } }, ...options },
        columns, this.box);
      this.box.dataset.drawn = "yes";
    }

    size() {
      return { width: Math.max(240, this.box.clientWidth), height: this.box.clientWidth < 600 ? 220 : 280 };
    }

    fit() {
      if (this.plot && this.plot.width !== this.size().width) this.plot.setSize(this.size());
    }
  }

  const charts = [...document.querySelectorAll("[data-chart]")].map((box) => new Chart(box));
  document.body.addEventListener("forewarn:changed", () => charts.forEach((chart) => chart.load()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((c) => c.data && c.draw(c.data)));
})();
