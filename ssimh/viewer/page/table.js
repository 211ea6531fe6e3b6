// Words and tables beside the views: values under the cursor, lesions, outlines, measures, notes.
const byId = id => document.getElementById(id);
const format = (value, scan) => value.toFixed(scan.digits).replace(/^-/, "−");
const MARKS = { found: "✓", missed: "✗", false: "!" };

// Values at a point, as rows of a name and a text.
function valuesAt(at) {
  const rows = [];
  for (const scan of S.case.scans.values()) {
    const value = valueAt(scan, at);
    rows.push([scan.name, value === null ? "outside" : `${format(value, scan)} ${scan.quantity}`]);
  }
  for (const mask of S.case.masks) {
    const value = maskValueAt(mask, at), style = mask.styles.find(each => each.value === value);
    rows.push([mask.name, style ? style.name : "none"]);
  }
  const { origin, axes, toIndex, indexShift } = S.case.frame;
  const place = axis => origin[axis] + axes[axis].reduce((sum, part, n) => sum + part * at[n], 0);
  const index = axis => Math.round(indexShift[axis] + toIndex[axis].reduce((sum, part, n) => sum + part * at[n], 0));
  rows.push(["Position, mm (LPS)", [0, 1, 2].map(axis => place(axis).toFixed(1).replace(/^-/, "−")).join(", ")]);
  rows.push([`Voxel of ${S.case.first.name} (i, j, k)`, [0, 1, 2].map(index).join(", ")]);
  return rows;
}

function showValues(at) {
  const body = byId("values").tBodies[0], rows = valuesAt(at);
  while (body.rows.length < rows.length) body.append(makeElement("tr", {}, makeElement("th", { scope: "row" }), makeElement("td")));
  while (body.rows.length > rows.length) body.lastElementChild.remove();
  rows.forEach(([name, text], n) => {
    const [head, cell] = body.rows[n].cells;
    if (head.textContent !== name) head.textContent = name;
    if (cell.textContent !== text) cell.textContent = text;
  });
}

let speech = 0;
function speak() {
  clearTimeout(speech);
  speech = setTimeout(() => (byId("spoken").textContent = valuesAt(S.at).slice(0, -2).map(row => row.join(" ")).join(", ")), 400);
}

function fillLesions() {
  const { lesions, lesionColumns } = S.case, section = byId("lesions"), table = section.querySelector("table");
  section.hidden = !lesionColumns.length;
  table.tHead.replaceChildren(makeElement("tr", {}, ...["Lesion", ...lesionColumns].map(text => makeElement("th", { scope: "col", textContent: text }))));
  table.tBodies[0].replaceChildren(...lesions.map((lesion, n) => {
    const button = makeElement("button", { type: "button", textContent: lesion.label, "aria-label": `Go to ${lesionName(lesion)}` });
    button.addEventListener("click", () => goToLesion(n));
    const cells = lesion.cells.map(text => makeElement("td", { textContent: MARKS[text] ? `${MARKS[text]} ${text}` : text }));
    return makeElement("tr", {}, makeElement("th", { scope: "row" }, button), ...cells);
  }));
  if (!lesions.length) table.tBodies[0].replaceChildren(makeElement("tr", {}, makeElement("td", { colSpan: lesionColumns.length + 1, textContent: "No lesion in any mask." })));
  for (const id of ["previous", "next"]) byId(id).disabled = !lesions.length;
  const count = name => lesions.filter(lesion => lesion.status === name).length;
  byId("tally").textContent = ["found", "missed", "false"].filter(count).map(name => `${count(name)} ${name}`).join(", ");
}

function goToLesion(n) {
  const lesion = S.case.lesions[n];
  if (!lesion) return;
  S.lesion = n;
  [...byId("lesions").querySelectorAll("tbody tr")].forEach((row, at) => {
    at === n ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current");
    if (at === n) row.closest(".scroll").scrollTop = row.offsetTop - row.offsetHeight;  // scrollIntoView moves where Tab begins
  });
  moveTo(lesion.center);
  zoomToLesion(lesion);
}

function fillLegend() {
  byId("outlines").hidden = !S.case.masks.length && !S.case.lesions.length;
  const rows = S.case.masks.flatMap(mask => mask.styles.map(style => {
    const name = `${mask.key} ${style.value}`, box = makeElement("input", { type: "checkbox", checked: S.shown.has(name) });
    box.addEventListener("change", () => {
      box.checked ? S.shown.add(name) : S.shown.delete(name);
      redraw();
    });
    return makeElement("label", {}, box, sampleLine(style), mask.styles.length > 1 ? `${mask.name} ${style.name}` : mask.name);
  }));
  if (S.case.lesions.length) {
    const box = makeElement("input", { type: "checkbox", checked: S.marks });
    box.addEventListener("change", () => {
      S.marks = box.checked;
      redraw();
    });
    rows.push(makeElement("label", {}, box, "Names of lesions"));
  }
  byId("legend").replaceChildren(...rows);
}

function sampleLine(style) {
  const canvas = makeElement("canvas", { width: 88, height: 20, className: "sample", "aria-hidden": "true" }), context = canvas.getContext("2d");
  context.scale(2, 2);
  context.strokeStyle = style.color;
  context.lineWidth = 2.4;
  context.setLineDash(style.dash);
  context.beginPath();
  context.moveTo(1, 5);
  context.lineTo(43, 5);
  context.stroke();
  return canvas;
}

function fillNotes() {
  const sentences = [...S.case.notes];
  for (const scan of S.case.scans.values()) {
    const size = scan.grid.size.join(" × "), spacing = scan.grid.spacing.map(mm => mm.toFixed(2)).join(" × ");
    const kind = scan.isSampled ? "interpolated along the planes, since its axes are not theirs" : scan.isAveraged ? "means over larger voxels than the file's" : "the file's own voxels";
    const rough = scan.rough ? `, below ${scan.rough[0]} within ${scan.rough[1] / 2}`.replace("-", "−") : "";
    const within = `within ${Number((scan.step / 2).toPrecision(2))} ${scan.quantity}${rough}`;
    sentences.push(`${scan.name}: ${size} voxels of ${spacing} mm, ${kind}; values ${within} of them. Colors between voxels are interpolated, values under the cursor are not.`);
  }
  for (const mask of S.case.masks) sentences.push(`${mask.name}: ${mask.isSampled ? `copied from the nearest voxel to the grid of ${S.case.first.name}` : "the file's own voxels"}.`);
  sentences.push(`Planes run along the axes of ${S.case.first.name}${S.case.frame.isOblique ? ", which are oblique to the patient's" : ""}. The patient's left (L) is on the right of axial and coronal planes; R right, A front, P back, H head, F feet.`);
  byId("notes").replaceChildren(...sentences.map(text => makeElement("li", { textContent: text })));
}

// Length of a line, or what lies in a circle.
function finishMeasure(measure) {
  const [right, down] = [0, 1].map(n => measure.to[n] - measure.from[n]), length = Math.hypot(right, down);
  measure.short = `${length.toFixed(1)} mm`;
  measure.text = `Distance ${measure.short}`;
  if (measure.kind === "circle") {
    const plane = PLANES[measure.view];
    const parts = [...S.case.scans.values()].map(scan => {
      const found = [], { grid } = scan;
      for (let y = nearest(grid, plane.down, measure.from[1] - length); y <= nearest(grid, plane.down, measure.from[1] + length); y++)
        for (let x = nearest(grid, plane.right, measure.from[0] - length); x <= nearest(grid, plane.right, measure.from[0] + length); x++) {
          const at = [0, 0, 0];
          at[plane.across] = measure.at;
          at[plane.right] = center(grid, plane.right, x);
          at[plane.down] = center(grid, plane.down, y);
          if (Math.hypot(at[plane.right] - measure.from[0], at[plane.down] - measure.from[1]) > length) continue;
          const value = valueAt(scan, at);
          if (value !== null) found.push(value);
        }
      if (!found.length) return `${scan.name}: no voxel`;
      const mean = found.reduce((a, b) => a + b) / found.length, spread = Math.sqrt(found.reduce((sum, value) => sum + (value - mean) ** 2, 0) / found.length);
      return `${scan.name} mean ${format(mean, scan)}, SD ${format(spread, scan)}, max ${format(Math.max(...found), scan)} ${scan.quantity} (${found.length} voxels)`;
    });
    measure.short = `radius ${length.toFixed(1)} mm`;
    measure.text = `Circle, ${measure.short}: ${parts.join("; ")}`;
  }
  byId("measures").replaceChildren(...S.measures.map(each => makeElement("li", { textContent: `${PLANES[each.view].name}: ${each.text}` })));
}
