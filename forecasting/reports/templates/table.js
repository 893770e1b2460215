"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const value = Number(text);
    return text !== "" && Number.isFinite(value) ? value : text;
  };
  const compare = (a, b) => {
    const kinds = [typeof a, typeof b];
    if (kinds[0] !== kinds[1]) return kinds[0] === "number" ? -1 : 1;
    return kinds[0] === "number" ? a - b : a.localeCompare(b);
  };
  heads.forEach((head, column) => {
    if (head.dataset.fixed !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [keyOf(row, column), row]);
      // What has no number stays last, whichever way the numbers run.
      keyed.sort(([a], [b]) => (typeof a === typeof b && down ? -compare(a, b) : compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
for (const box of document.querySelectorAll("input[data-searches]")) {
  const rows = [...document.getElementById(box.dataset.searches).tBodies[0].rows];
  const found = document.getElementById(box.dataset.found);
  box.closest("label").hidden = false;
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    let left = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      left += row.hidden ? 0 : 1;
    }
    found.textContent = wanted ? `${left} of ${rows.length}` : "";
  });
}
