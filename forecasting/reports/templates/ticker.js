  // ---- One ticker of the report, chosen from the table of all

  const panel = document.getElementById("ticker"), detail = document.getElementById("detail");
  const BANDS = [["90 %", 0, 6, "band90"], ["80 %", 1, 5, "band80"], ["50 %", 2, 4, "band50"]];
  const PRICES = ["mae", "rmse", "crps"], COVERAGE = { coverage_50: 0.5, coverage_80: 0.8, coverage_90: 0.9 };
  const HEADS = {
    mae: "MAE", rmse: "RMSE", mape: "MAPE", mase: "MASE", crps: "CRPS", coverage_50: "50 % band\ncovers",
    coverage_80: "80 % band\ncovers", coverage_90: "90 % band\ncovers", dm_p_value: "DM p",
  };

  // Numbers are whole multiples of a unit and mostly differences, which makes a page of thousands of tickers small.
  const running = (differences) => {
    let sum = 0;
    return differences.map((one) => (sum += one));
  };
  const datesAt = (place) => running(data.dates[place]).map((days) => new Date(86400000 * days).toISOString().slice(0, 10));

  const read = (record) => {
    const price = (units) => (known(units) ? units / 10 ** record.d : null);
    const beside = (units, other) => (known(other) ? price(units + other) : null);
    const anchor = record.a, opens = running(record.o), actuals = running(record.e?.y ?? []);
    return {
      name: record.n, decimals: record.d, anchorName: record.c, anchor: price(anchor), cutoff: datesAt(record.u)[0],
      write: (value) => number(value, record.d),
      days: datesAt(record.p), open: opens.map(price),
      high: opens.map((open, place) => beside(open, record.h[place])),
      low: opens.map((open, place) => beside(open, known(record.l[place]) ? -record.l[place] : null)),
      steps: data.steps[record.s], targets: datesAt(record.t),
      quantiles: record.q.map((row) => row.map((one) => price(anchor + one))),
      changes: record.v.map((one) => (known(one) ? one / 1e5 : null)),
      models: data.models[record.m], reasons: data.reasons[record.w],
      heldout: record.e && {
        step: record.e.s, days: datesAt(record.e.p), actual: actuals.map(price),
        low: record.e.l.map((one, place) => price(actuals[place] + one)),
        median: record.e.m.map((one, place) => price(actuals[place] + one)),
        high: record.e.h.map((one, place) => price(actuals[place] + one)),
      },
      scores: record.r, calibration: record.k, training: record.g,
    };
  };

  const saysForecast = (one) => {
    const [, low, , median, , high] = one.quantiles[0];
    return `Open on ${day(one.targets[0])}: ${one.write(median)}, with four chances in five between ${one.write(low)} and ${one.write(high)}`;
  };

  const fan = (one) => (width) => {
    const kept = Math.min(one.open.length, width > 560 ? 60 : 20), steps = one.steps.length;
    const share = width > 560 ? 0.62 : 0.55;
    const past = (values) => [...values.slice(-kept), ...Array(steps + 1).fill(null)];
    const ahead = (values) => [...Array(kept).fill(null), one.anchor, ...values];
    const at = [...Array(kept + 1).keys()].map((place) => (share * place) / Math.max(1, kept));
    const opens = one.open.slice(-kept);
    const last = one.quantiles.at(-1);
    return {
      x: [...at, ...one.steps.map((step) => share + ((1 - share) * step) / one.steps.at(-1))],
      labels: [...one.days.slice(-kept), one.cutoff, ...one.targets],
      named: { [kept]: `Last ${one.anchorName}, ${day(one.cutoff)}:` },
      ticks: [...spread([...Array(Math.max(1, kept - 4)).keys()], width > 560 ? 5 : 2), ...spread(one.steps.map((_, place) => kept + 1 + place), width > 560 ? 5 : 2)],
      weekdays: new Set(one.steps.map((_, place) => kept + 1 + place)), start: kept + 1,
      areas: [
        { name: "Low to High", tone: "range", low: past(one.low.slice(-kept)), high: past(one.high.slice(-kept)) },
        ...BANDS.map(([name, low, high, tone]) => ({ name, tone, low: ahead(one.quantiles.map((row) => row[low])), high: ahead(one.quantiles.map((row) => row[high])) })),
      ],
      lines: [
        { name: "Open", tone: "ink", values: past(opens) },
        { name: "median", tone: "blue", values: ahead(one.quantiles.map((row) => row[3])) },
      ],
      height: width > 560 ? 320 : 240, write: one.write,
      says: `${one.name}: ${saysForecast(one)}. ` +
        (opens.length ? `Over the last ${opens.length} sessions the Open was between ${one.write(Math.min(...opens))} and ${one.write(Math.max(...opens))}, the last ${one.write(opens.at(-1))}. ` : "") +
        `On ${day(one.targets.at(-1))}: median ${one.write(last[3])}, 80 % band ${one.write(last[1])} to ${one.write(last[5])}.`,
    };
  };

  const heldout = (one) => {
    const { step, days, actual, low, median, high } = one.heldout;
    const inside = (place) => actual[place] >= low[place] && actual[place] <= high[place];
    const missed = [...days.keys()].filter((place) => !inside(place));
    const ahead = step === 1 ? "the next session\u2019s Open" : `the Open ${step} sessions ahead`;
    const held = days.length - missed.length;
    const caption = `The last ${days.length} held-out forecasts of ${ahead}: ${held} (${percent(held / days.length, 0)}) were inside the 80${SPACE}% band.`;
    const beside = (values) => values.map((value, place) => value - median[place]);
    const errors = beside(actual);
    return figure(caption, () => ({
      labels: days, rule: 0,
      areas: [{ name: "80 % band", tone: "band80", low: beside(low), high: beside(high) }],
      lines: [{ name: `actual ${MINUS} median`, tone: "ink", values: errors }],
      dots: [{ name: "outside the band", tone: "orange", at: missed, values: missed.map((place) => errors[place]) }],
      detail: (place) => `actual ${one.write(actual[place])} · median ${one.write(median[place])} · 80 % ${one.write(low[place])} to ${one.write(high[place])}`,
      write: one.write, says: `${one.name}: ${caption}`,
    }));
  };

  const training = (one) => {
    const { members, epochs, train, validation, kept } = one.training;
    const settled = [...train, ...validation].filter((loss, place) => known(loss) && place % epochs.length >= epochs.length / 10);
    const low = Math.min(...settled), high = Math.max(...settled), room = 0.08 * (high - low) || 1e-6;
    const ends = kept.length ? (kept[0] === kept.at(-1) ? `${kept[0]}` : `${kept[0]} to ${kept.at(-1)}`) : DASH;
    const caption = `Training of ${members} ${members === 1 ? "LSTM" : "LSTMs, their mean"}; the weights kept are of epoch ${ends}.`;
    return figure(caption, () => ({
      labels: epochs.map((epoch) => `${epoch}`), named: epochs.map((epoch) => `Epoch ${epoch}:`),
      lines: [
        { name: "training loss", tone: "blue", values: train },
        ...(validation.some(known) ? [{ name: "validation loss", tone: "orange", values: validation }] : []),
      ],
      range: settled.length ? [low - room, high + 3 * room] : undefined, height: 300,
      write: (value) => number(value, 4), says: `${one.name}: ${caption}`,
    }));
  };

  const tableOf = (heads, rows) =>
    scrolling(html("div", { class: "scroll" }, html("table", {},
      html("thead", {}, html("tr", {}, ...heads.map(([text, kind]) => html("th", kind ? { class: kind } : {}, ...text.split("\n").flatMap((line, place) => (place ? [html("br"), line] : [line])))))),
      html("tbody", {}, ...rows.map(({ cells, chosen }) => html("tr", chosen ? { class: "chosen" } : {},
        ...cells.map((cell, place) => html("td", heads[place][1] ? { class: heads[place][1] } : {}, cell))))))));

  const stepTable = (one) => {
    const reasons = one.reasons.some(Boolean);
    const heads = [
      ["Open on", "text"], ["5 %"], ["10 %"], ["25 %"], ["Median"], ["75 %"], ["90 %"], ["95 %"], ["Change"], ["Model", "text"],
    ];
    const rows = one.quantiles.map((row, place) => ({
      cells: [
        `${weekday(one.targets[place])} ${day(one.targets[place], false)}`,
        ...row.map((price, at) => (at === 3 ? html("b", {}, one.write(price)) : one.write(price))),
        change(one.changes[place]), one.models[place], ...(reasons ? [one.reasons[place]] : []),
      ],
    }));
    return tableOf(reasons ? [...heads, ["Why not a fresh LSTM", "text note"]] : heads, rows);
  };

  const scoreTable = (one, [step, n, ...scored]) => {
    const places = Object.fromEntries(data.columns.map((name, place) => [name, place + 2]));
    const value = (row, name) => {
      const units = row[places[name]];
      return units === null ? null : units / 10 ** (PRICES.includes(name) ? one.decimals + 1 : data.decimals);
    };
    const usual = scored.map((row) => [data.scored[row[0]], value(row, "crps")]).find(([model]) => model === data.reference)?.[1];
    const columns = [
      ["CRPS,\npersistence = 1", (row) => (usual && known(value(row, "crps")) ? value(row, "crps") / usual : null), (ratio) => number(ratio, 3), 0],
      ...data.columns.map((name) => [
        HEADS[name], (row) => value(row, name),
        (score) => (PRICES.includes(name) ? number(score, one.decimals + 1) : name === "mase" ? number(score, 3)
          : name === "dm_p_value" ? (known(score) && score < 0.001 ? "<0.001" : number(score, 3)) : percent(score, name === "mape" ? 2 : 1)),
        name === "dm_p_value" ? undefined : COVERAGE[name] ?? 0,
      ]),
    ];
    const ordered = scored.toSorted((a, b) => (value(a, "crps") ?? Infinity) - (value(b, "crps") ?? Infinity));
    const best = columns.map(([, get, , ideal]) => Math.min(...ordered.map((row) => (known(get(row)) ? Math.abs(get(row) - ideal) : Infinity))));
    const rows = ordered.map((row) => ({
      chosen: row[1] === 1,
      cells: [
        `${data.scored[row[0]]}${row[1] ? " (published)" : ""}`,
        ...columns.map(([, get, write, ideal], place) => {
          const score = get(row), text = write(score);
          return known(ideal) && known(score) && Math.abs(score - ideal) === best[place] ? html("b", {}, text) : text;
        }),
      ],
    }));
    return tableOf([[`Step ${step}, ${n} sessions`, "text"], ...columns.map(([head]) => [head])], rows);
  };

  const folded = (summary, ...children) => html("details", {}, html("summary", {}, summary), ...children);

  const findingsOf = (name) =>
    [...document.querySelectorAll("#findings tbody tr")].filter((row) => row.cells[0].textContent === name)
      .map((row) => html("li", {}, html("span", { class: "kind" }, `${row.cells[2].textContent}: `), row.cells[1].textContent));

  const details = (one) => {
    const [first, ...later] = one.scores;
    const more = [one.calibration && figure(
      `Calibration over ${one.calibration.n} held-out sessions: how often the actual was at or below each quantile. Inside the grey is chance.`,
      () => { const spec = calibration(one.calibration); return { ...spec, says: `${one.name}: ${spec.says}` }; },
    ), one.training && training(one)].filter(Boolean);
    const findings = findingsOf(one.name);
    return [
      html("h2", {}, html("bdi", {}, one.name), " in detail"), html("h3", {}, "What is published"), stepTable(one),
      html("p", { class: "small" }, `In the price\u2019s own unit, after the session of ${day(one.cutoff)}; the change is from the last ${one.anchorName}, ${one.write(one.anchor)}.`),
      html("h3", {}, "How good that was on held-out sessions"),
      ...(one.heldout ? [heldout(one)] : []),
      ...(first ? [scoreTable(one, first)] : [html("p", {}, "No held-out forecasts: too little history to keep some of it back.")]),
      ...(later.length ? [folded("Later steps", ...later.map((step) => scoreTable(one, step)))] : []),
      ...(more.length ? [folded("Calibration and training", html("div", { class: "pictures" }, ...more))] : []),
      ...(findings.length ? [html("h3", {}, "What to know about its data"), html("ul", { class: "findings" }, ...findings)] : []),
    ];
  };

  const sparkline = (record) => {
    const opens = running(record?.o ?? []);
    if (opens.length < 2) return "";
    const low = Math.min(...opens), span = Math.max(...opens) - low || 1;
    const points = opens.map((open, place) => `${((100 * place) / (opens.length - 1)).toFixed(0)},${(22 - (20 * (open - low)) / span).toFixed(1)}`);
    return svg("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("polyline", { points: points.join(" ") }));
  };

  const pickable = (table) => {
    const rows = [...table.tBodies[0].rows];
    const recordOf = new Map(rows.map((row, place) => [row, data.tickers[place]]));
    const pick = (row) => {
      table.querySelector("tr[aria-current]")?.removeAttribute("aria-current");
      row.setAttribute("aria-current", "true");
      if (!recordOf.get(row)) {
        panel.replaceChildren(
          html("h2", {}, html("bdi", {}, row.cells[0].textContent)),
          html("p", {}, "The page has room for the charts of the best and the worst scored alone. This ticker\u2019s forecasts are in its line, and all of its steps in the store: daily-forecast show."),
        );
        detail.replaceChildren();
        return;
      }
      const one = read(recordOf.get(row));
      const why = one.reasons[0] ? `${one.models[0]}: ${one.reasons[0]}` : one.models[0];
      panel.replaceChildren(
        html("h2", {}, html("bdi", {}, one.name), html("span", { class: "word" }, why)),
        figure(`${saysForecast(one)}.`, fan(one)),
      );
      detail.replaceChildren(...details(one));
    };
    rows.forEach((row) => {
      const name = row.cells[0].firstElementChild;
      const button = html("button", { type: "button", class: "pick" }, ...name.childNodes);
      name.append(button);
      row.cells[4].append(sparkline(recordOf.get(row)));
    });
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      pick(row);
      const top = panel.getBoundingClientRect().top;
      if (top < 0 || top > innerHeight / 2) panel.scrollIntoView({ block: "start" });
    });
    table.tBodies[0].addEventListener("keydown", (event) => {
      const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      if (!way) return;
      event.preventDefault();
      let row = event.target.closest("tr")[way];
      while (row?.hidden) row = row[way];
      if (!row) return;
      row.querySelector("button").focus();
      pick(row);
    });
    panel.hidden = detail.hidden = false;
    pick(rows[data.first]);
  };

  if (panel && data.tickers?.length) pickable(document.getElementById("all"));
