"use strict";
// All that a page of this project runs: charts drawn from the JSON in the page, and tables to sort, search and pick from.
// Texts from files are only ever set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data")?.textContent ?? "{}");
  const MINUS = "\u2212", DASH = "\u2013", SPACE = "\u00a0";
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const WEEKDAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" ");
  const LEVELS = Array.from({ length: 19 }, (_, place) => 5 * (place + 1));

  // ---- Elements, numbers and dates

  const element = (made, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const html = (tag, attributes = {}, ...children) => element(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    element(document.createElementNS(document.querySelector("svg").namespaceURI, tag), attributes, children);

  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
  const number = (value, decimals) => {
    if (!known(value)) return DASH;
    const rounded = Number(value.toFixed(decimals)) === 0 ? 0 : value;
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    return rounded.toLocaleString("en-US", digits).replace("-", MINUS);
  };
  const percent = (share, decimals = 1) => (known(share) ? `${number(100 * share, decimals)}${SPACE}%` : DASH);
  const change = (share) => (known(share) ? `${share > 0 ? "+" : ""}${percent(share, 2)}` : DASH);
  const isDate = (label) => /^\d{4}-\d\d-\d\d$/.test(label);
  const day = (label, year = true) => {
    if (!isDate(label)) return label;
    const [years, month, date] = label.split("-");
    return `${+date} ${MONTHS[month - 1]}${year ? ` ${years}` : ""}`;
  };
  const weekday = (label) => WEEKDAYS[new Date(`${label}T00:00Z`).getUTCDay()];

  // ---- One chart: areas, lines and dots over labelled places

  const niceTicks = (low, high, amount) => {
    const rough = (high - low) / Math.max(1, amount);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((nice) => nice * power >= rough) ?? 10);
    const ticks = [];
    for (let at = Math.ceil(low / step); at <= high / step + 1e-9; at += 1) ticks.push(at * step);
    return { ticks, decimals: Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))) };
  };

  const stretches = (amount, drawn) => {
    const found = [];
    for (let place = 0; place < amount; place += 1) {
      if (!drawn(place)) continue;
      if (place && drawn(place - 1)) found.at(-1).push(place);
      else found.push([place]);
    }
    return found;
  };

  const spread = (places, amount) => {
    if (places.length <= amount) return places;
    if (amount < 2) return places.slice(0, 1);
    const apart = (places.length - 1) / (amount - 1);
    return Array.from({ length: amount }, (_, place) => places[Math.round(place * apart)]);
  };

  const legendOf = (spec) => {
    const entries = [...(spec.lines ?? []), ...(spec.dots ?? []), ...(spec.areas ?? [])].filter((one) => one.name);
    const sign = (one) => html("i", { class: `key ${one.low ? "area" : one.at ? "dot" : "line"} ${one.tone}` });
    return html("ul", { class: "legend" }, ...entries.map((one) => html("li", {}, sign(one), one.name)));
  };

  const valuesAt = (spec, place) => {
    if (spec.detail) return spec.detail(place);
    const lines = (spec.lines ?? []).filter((one) => known(one.values[place]));
    const areas = (spec.areas ?? []).filter((one) => one.name && known(one.low[place]) && one.low[place] !== one.high[place]);
    return [
      ...lines.map((one) => `${one.name ?? ""} ${spec.write(one.values[place])}`.trim()),
      ...areas.map((one) => `${one.name} ${spec.write(one.low[place])} to ${spec.write(one.high[place])}`),
    ].join(" · ");
  };

  const scaleOf = (spec, width, height) => {
    const all = [...(spec.lines ?? []), ...(spec.dots ?? [])].flatMap((one) => one.values)
      .concat((spec.areas ?? []).flatMap((one) => [...one.low, ...one.high]), spec.rule ?? [])
      .filter(known);
    let [low, high] = spec.range ?? [Math.min(...all), Math.max(...all)];
    if (!all.length) [low, high] = [0, 1];
    if (!spec.range) {
      const room = 0.06 * (high - low) || 0.01 * Math.abs(high) || 1;
      [low, high] = [low - room, high + room];
    }
    const { ticks, decimals } = niceTicks(low, high, height / 52);
    const written = ticks.map((tick) => number(tick, decimals) + (spec.unit ?? ""));
    const left = 12 + 7 * Math.max(0, ...written.map((text) => text.length));
    const right = width - 8, top = 8, bottom = height - 36;
    const amount = spec.labels.length;
    const at = spec.x ?? spec.labels.map((_, place) => (amount > 1 ? place / (amount - 1) : 0.5));
    return {
      left, right, top, bottom, ticks, written,
      across: (place) => left + at[place] * (right - left),
      down: (value) => bottom - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (bottom - top),
    };
  };

  const axes = (spec, scale, width) => {
    const parts = scale.ticks.flatMap((tick, place) => [
      svg("line", { class: "grid", x1: scale.left, x2: scale.right, y1: scale.down(tick), y2: scale.down(tick) }),
      svg("text", { class: "tick", x: scale.left - 6, y: scale.down(tick) + 4, "text-anchor": "end" }, scale.written[place]),
    ]);
    const places = spec.ticks ?? spread([...spec.labels.keys()], Math.max(2, Math.floor((scale.right - scale.left) / 90)));
    let year = "";
    places.forEach((place, index) => {
      const label = spec.labels[place], now = isDate(label) ? label.slice(0, 4) : "";
      const below = spec.weekdays?.has(place) ? weekday(label) : now !== year ? now : "";
      year = now || year;
      const x = scale.across(place);
      const anchor = x > width - 24 ? "end" : index === 0 && x < scale.left + 12 ? "start" : "middle";
      parts.push(svg("text", { class: "tick", x, y: scale.bottom + 16, "text-anchor": anchor }, day(label, false)));
      parts.push(svg("text", { class: "tick", x, y: scale.bottom + 30, "text-anchor": anchor }, below));
    });
    return parts;
  };

  const marks = (spec, scale) => {
    const amount = spec.labels.length;
    const point = (place, value) => `${scale.across(place).toFixed(1)},${scale.down(value).toFixed(1)}`;
    const parts = [];
    for (const one of spec.areas ?? []) {
      for (const places of stretches(amount, (place) => known(one.low[place]) && known(one.high[place]))) {
        const above = places.map((place) => point(place, one.high[place]));
        const below = places.toReversed().map((place) => point(place, one.low[place]));
        parts.push(svg("path", { class: `area ${one.tone}`, d: `M${above.join("L")}L${below.join("L")}Z` }));
      }
    }
    if (known(spec.rule)) {
      const y = scale.down(spec.rule);
      parts.push(svg("line", { class: "rule", x1: scale.left, x2: scale.right, y1: y, y2: y }));
    }
    for (const one of spec.lines ?? []) {
      for (const places of stretches(amount, (place) => known(one.values[place]))) {
        const points = places.map((place) => point(place, one.values[place]));
        const [x, y] = points[0].split(",");
        parts.push(
          points.length > 1
            ? svg("path", { class: `line ${one.tone}${one.dashed ? " dashed" : ""}`, d: `M${points.join("L")}` })
            : svg("circle", { class: `dot ${one.tone}`, cx: x, cy: y, r: 3.5 }),
        );
      }
    }
    for (const one of spec.dots ?? []) {
      one.at.forEach((place, index) => {
        if (!known(one.values[index])) return;
        const [cx, cy] = point(place, one.values[index]).split(",");
        parts.push(svg("circle", { class: `dot ${one.tone}`, cx, cy, r: 3.5 }));
      });
    }
    return parts;
  };

  const draw = (holder, spec, width) => {
    const height = spec.height ?? 230;
    const scale = scaleOf(spec, width, height);
    const cursor = svg("g", { class: "cursor" });
    const readout = html("p", { class: "readout", "aria-live": "polite" });
    const drawn = svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, "aria-label": spec.says ?? "" },
      ...axes(spec, scale, width), ...marks(spec, scale), cursor,
    );
    const amount = spec.labels.length;
    let pointed = -1;
    const show = (place) => {
      pointed = place;
      cursor.replaceChildren();
      if (place < 0) {
        readout.replaceChildren("Values: point at or touch the chart, or use the arrow keys.");
        return;
      }
      const x = scale.across(place);
      const dots = (spec.lines ?? []).filter((one) => known(one.values[place]))
        .map((one) => svg("circle", { class: `dot ${one.tone}`, cx: x, cy: scale.down(one.values[place]), r: 3.5 }));
      cursor.replaceChildren(svg("line", { x1: x, x2: x, y1: scale.top, y2: scale.bottom }), ...dots);
      const label = spec.named?.[place] ?? day(spec.labels[place]);
      readout.replaceChildren(html("b", {}, label), ` ${valuesAt(spec, place)}`);
    };
    drawn.addEventListener("pointermove", (event) => {
      const x = event.clientX - drawn.getBoundingClientRect().left;
      let nearest = 0;
      for (let place = 1; place < amount; place += 1) {
        if (Math.abs(scale.across(place) - x) < Math.abs(scale.across(nearest) - x)) nearest = place;
      }
      if (nearest !== pointed) show(nearest);
    });
    drawn.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(-1); });
    drawn.addEventListener("keydown", (event) => {
      const last = amount - 1;
      const from = pointed < 0 ? (spec.start ?? last) : pointed;
      const to = { ArrowLeft: pointed < 0 ? from : from - 1, ArrowRight: pointed < 0 ? from : from + 1, Home: 0, End: last, Escape: -1 };
      if (!(event.key in to)) return;
      event.preventDefault();
      show(event.key === "Escape" ? -1 : Math.min(last, Math.max(0, to[event.key])));
    });
    show(-1);
    holder.replaceChildren(legendOf(spec), drawn, readout);
  };

  // Drawn for the width that there is, again when it changes; a chart in what is folded away waits until it is opened.
  const chart = (specOf) => {
    const holder = html("div", { class: "chart" });
    let width = 0;
    new ResizeObserver(() => {
      if (!holder.clientWidth || holder.clientWidth === width) return;
      width = holder.clientWidth;
      draw(holder, specOf(width), width);
    }).observe(holder);
    return holder;
  };

  const figure = (caption, specOf) => html("figure", {}, html("figcaption", {}, caption), chart(specOf));

  // ---- What the charts of these pages show

  const calibration = ({ n, steps, shares }) => {
    const chance = LEVELS.map((level) => 1.645 * Math.sqrt((level * (100 - level)) / n));
    return {
      labels: LEVELS.map((level) => `${level} %`),
      named: LEVELS.map((level) => `At or below the ${level} % quantile:`),
      areas: [{
        name: "chance", tone: "chance",
        low: LEVELS.map((level, place) => level - chance[place]), high: LEVELS.map((level, place) => level + chance[place]),
      }],
      lines: [
        { values: LEVELS, tone: "muted", dashed: true, name: "perfect" },
        ...steps.map((step, place) => ({ name: `step ${step}`, tone: `shade${place % 5}`, values: shares[place].map((one) => one / 10) })),
      ],
      range: [0, 100], height: 300, write: (value) => `${number(value, 1)} %`,
      says: `How often the actual was at or below each of the 19 quantiles, over ${n} held-out sessions. ` +
        steps.map((step, place) => `Step ${step}: the 10 % quantile held ${shares[place][1] / 10} %, the 90 % quantile ${shares[place][17] / 10} %`).join("; "),
    };
  };

  const given = (spec, says) => {
    if (spec.steps) return calibration(spec);
    const write = (value) => `${number(value, spec.decimals)}${spec.unit}`;
    const newest = spec.lines.map((one) => [one.name, one.values.findLast(known)]).filter(([, value]) => known(value));
    const ends = newest.map(([name, value]) => `${name ?? "value"} ${write(value)}`).join(", ");
    return { ...spec, write, says: `${says} At ${day(spec.labels.at(-1) ?? "")}: ${ends}.` };
  };

  for (const holder of document.querySelectorAll("[data-chart]")) {
    const says = holder.closest("figure").querySelector("figcaption").textContent;
    holder.replaceChildren(chart(() => given(data.charts[holder.dataset.chart], says)));
  }

  // ---- Tables

  // Where a table is wider than the screen, its edge fades until its end is reached, and the arrow keys move it.
  const scrolling = (area) => {
    const look = () => {
      const more = area.scrollWidth - area.clientWidth;
      area.classList.toggle("aside", area.scrollLeft < more - 1);
      area.tabIndex = more > 1 ? 0 : -1;
    };
    area.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(area);
    return area;
  };
  document.querySelectorAll(".scroll").forEach(scrolling);

  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const plain = text.replaceAll(",", "").replace(MINUS, "-").replace(/[\s%]+$/, "");
    if (plain !== "" && Number.isFinite(Number(plain))) return Number(plain);
    if (/^\d+ \w{3} \d{4}$/.test(text)) return Date.parse(`${text} UTC`);
    return text === DASH ? "" : text;
  };
  const compare = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b);
  };

  const sortable = (table) => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const original = [...body.rows];
    const sort = (column, down) => {
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = original.map((row) => [keyOf(row, column), row]);
      // What has no number is last, whichever way the numbers run.
      keyed.sort(([a], [b]) => (typeof a === typeof b && down ? -compare(a, b) : compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
      table.parentElement.scrollTop = 0;
      for (const button of ways?.children ?? []) button.setAttribute("aria-pressed", button.dataset.way === `${column} ${down}`);
    };
    heads.forEach((head, column) => {
      if (head.dataset.fixed !== undefined) return;
      const button = html("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") === "ascending"));
    });
    const ways = document.querySelector(`[data-orders="${table.id}"]`);
    for (const button of ways?.children ?? []) {
      const [column, down] = button.dataset.way.split(" ");
      button.addEventListener("click", () => sort(Number(column), down === "true"));
    }
    if (ways) {
      ways.hidden = false;
      ways.firstElementChild.setAttribute("aria-pressed", heads[0].ariaSort === "ascending");
    }
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  for (const box of document.querySelectorAll("input[data-searches]")) {
    const rows = [...document.getElementById(box.dataset.searches).tBodies[0].rows];
    const found = document.getElementById(box.dataset.found);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    box.closest("label").hidden = false;
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      let left = 0;
      rows.forEach((row, place) => {
        row.hidden = !texts[place].includes(wanted);
        left += row.hidden ? 0 : 1;
      });
      found.textContent = wanted ? `${left} of ${rows.length}` : "";
    });
  }
{% include "ticker.js" %}
})();
