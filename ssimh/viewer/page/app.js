// The page: its state, what the controls, keys, mouse and fingers do, and the cases that are loaded.
const S = { case: null, generation: 0, at: [0, 0, 0], mode: 0, opacity: 0.6, zoom: 1, projectionZoom: 1, angle: 0, windows: new Map(), tables: new Map(), shown: new Set(), marks: true, lesion: -1, tool: "cursor", measures: [], projection: null, projectedColormap: "gray" };
const MOST_ZOOM = 12, LEAST_FIELD = 70;  // times; mm that the shorter side of a plane shows around a lesion, at least
const contents = new Map();
let views = [], known = [], waiting = null, turning = 0;

function add(content) {
  contents.set(content.name, content);
  if (waiting === content.name) show(content.name);
}

// Begin with a list of cases: { name, address }, where an empty address means that the case is in the page.
function start({ cases, back }) {
  known = cases;
  if (typeof DecompressionStream === "undefined") return say("This page needs a browser of 2023 or later.");
  if (back) Object.assign(byId("back"), { href: back, hidden: false });
  byId("case-choice").hidden = !cases[0].address;
  byId("case").replaceChildren(...cases.map(each => makeElement("option", { value: each.name, textContent: each.name })));
  byId("case").addEventListener("change", event => (location.hash = new URLSearchParams({ case: event.target.value })));
  window.addEventListener("hashchange", follow);
  bindControls();
  follow();
}

function say(text) {
  byId("status").textContent = text;
}

// What the address asks for: #case=NAME&lesion=NUMBER.
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1)), name = wanted.get("case") ?? known[0].name;
  const entry = known.find(each => each.name === name), lesion = Number(wanted.get("lesion")) - 1;
  if (!entry) return say(`There is no case ${name} on this page.`);
  byId("case").value = name;
  if (S.case && S.case.name === name) return lesion >= 0 && goToLesion(lesion);
  waiting = name;
  delete document.body.dataset.ready;
  say(`Loading ${name} …`);
  if (contents.has(name)) return show(name);
  const script = makeElement("script", { src: entry.address });
  script.addEventListener("error", () => say(`${decodeURIComponent(entry.address)} cannot be read: it has to lie beside this page. Copy the whole folder.`));
  script.addEventListener("load", () => script.remove());
  document.body.append(script);
}

async function show(name) {
  try {
    const found = await decodeCase(contents.get(name));
    if (waiting !== name) return;
    if (known[0].address) contents.delete(name);
    setCase(found);
    drawNow();
    document.body.dataset.ready = "true";
    say("");
  } catch (error) {
    say(`${name} cannot be shown: ${error.message}`);
    throw error;
  }
}

function setCase(found) {
  const before = S.case;
  S.case = found;
  S.generation++;
  S.tables.clear();
  S.measures = [];
  S.lesion = -1;
  S.zoom = S.projectionZoom = 1;
  byId("measures").replaceChildren();
  document.title = `${found.name} · ${byId("case").dataset.title}`;
  for (const scan of found.scans.values()) if (!before || !S.windows.has(scan.key)) S.windows.set(scan.key, [...scan.window]);
  S.mode = before ? Math.min(S.mode, found.modes.length - 1) : 0;
  S.shown = new Set(found.masks.flatMap(mask => mask.styles.map(style => `${mask.key} ${style.value}`)));
  const projected = found.projected && found.scans.get(found.projected);
  S.projection = projected ? prepareProjection(projected) : null;
  S.projectedColormap = projected && projected.quantity === "SUV" ? "gray_r" : "gray";
  buildViews();
  fillModes();
  fillDisplay();
  fillLesions();
  fillLegend();
  fillNotes();
  const grid = found.first.grid;
  moveTo([0, 1, 2].map(axis => center(grid, axis, Math.floor((grid.size[axis] - 1) / 2))));
  const lesion = Number(new URLSearchParams(location.hash.slice(1)).get("lesion")) - 1;
  goToLesion(lesion >= 0 && found.lesions[lesion] ? lesion : 0);
  redraw();
}

function buildViews() {
  const wanted = [...Object.keys(PLANES), ...(S.projection ? ["projection"] : [])];
  if (views.map(view => view.key).join() === wanted.join()) return;
  views = wanted.map(key => new View(key, PLANES[key]));
  byId("views").replaceChildren(...views.map(view => view.element));
  byId("views").classList.toggle("three", views.length === 3);
  byId("planes").replaceChildren(...views.map(view => {
    const button = makeElement("button", { type: "button", textContent: view.plane ? view.plane.name : "Turning", "aria-pressed": String(view.key === byId("views").dataset.shown) });
    button.addEventListener("click", () => {
      byId("views").dataset.shown = view.key;
      for (const other of byId("planes").children) other.setAttribute("aria-pressed", String(other === button));
      drawNow();
    });
    return button;
  }));
  for (const view of views) bindView(view);
  const watch = new ResizeObserver(() => redraw());
  for (const view of views) watch.observe(view.frame);
}

function fillModes() {
  byId("modes").replaceChildren(...S.case.modes.map((mode, n) => {
    const button = makeElement("button", { type: "button", textContent: mode.name, "aria-pressed": String(n === S.mode), title: `Key ${n + 1}` });
    button.addEventListener("click", () => setMode(n));
    return button;
  }));
}

function setMode(n) {
  if (!S.case.modes[n]) return;
  S.mode = n;
  [...byId("modes").children].forEach((button, at) => button.setAttribute("aria-pressed", String(at === n)));
  redraw();
}

// A named control with its value in words.
function control(name, input, words = () => "") {
  const output = makeElement("output"), update = () => (output.textContent = words(input));
  input.addEventListener("input", update);
  update();
  return makeElement("label", { className: "control" }, makeElement("span", { textContent: name }), input, output);
}

function fillDisplay() {
  const made = [];
  if (S.case.modes.some(mode => mode.overlay)) {
    const opacity = makeElement("input", { type: "range", id: "opacity", min: 0, max: 100, value: Math.round(S.opacity * 100) });
    opacity.addEventListener("input", () => setOpacity(opacity.value / 100));
    made.push(control("Opacity of the overlay", opacity, input => `${input.value} %`));
  }
  if (S.case.presets.length) {
    const choice = makeElement("select", { id: "preset" }, ...S.case.presets.map((preset, n) => makeElement("option", { value: n, textContent: preset.name })), makeElement("option", { value: "", textContent: "as set below", disabled: true }));
    choice.addEventListener("change", () => {
      const { low, high } = S.case.presets[choice.value];
      setWindow(S.case.first.key, [low, high]);
    });
    made.push(control(`Window of ${S.case.first.name}`, choice));
  }
  const done = new Set();
  for (const scan of S.case.scans.values()) {
    const group = scan.quantity + scan.colormap;
    if (done.has(group)) continue;
    done.add(group);
    const names = [...S.case.scans.values()].filter(each => each.quantity + each.colormap === group).map(each => each.name).join(", ");
    const inputs = [0, 1].map(end => {
      const input = makeElement("input", { type: "number", value: S.windows.get(scan.key)[end], step: "any", id: `window-${scan.key}-${end}`, "aria-label": `${names}: ${end ? "upper" : "lower"} end of the window, ${scan.quantity}` });
      input.addEventListener("change", () => {
        const window = [...S.windows.get(scan.key)];
        window[end] = Number(input.value);
        if (input.value !== "" && window[0] < window[1]) setWindow(scan.key, window);
        else input.value = S.windows.get(scan.key)[end];
      });
      return input;
    });
    made.push(makeElement("div", { className: "control" }, makeElement("span", { textContent: `${names}, ${scan.quantity}` }), makeElement("span", { className: "ends" }, inputs[0], " to ", inputs[1])));
  }
  byId("display").replaceChildren(...made);
  showWindows();
}

function setOpacity(value) {
  S.opacity = clamp(value, 0, 1);
  const input = byId("opacity");
  if (input) {
    input.value = Math.round(S.opacity * 100);
    input.nextElementSibling.textContent = `${input.value} %`;
  }
  redraw();
}

// A window belongs to all scans of a quantity and a color map.
function setWindow(key, [low, high]) {
  const changed = S.case.scans.get(key);
  for (const scan of S.case.scans.values())
    if (scan.quantity === changed.quantity && scan.colormap === changed.colormap) S.windows.set(scan.key, [low, high]);
  showWindows();
  redraw();
}

function showWindows() {
  for (const [key, window] of S.windows)
    for (const end of [0, 1]) {
      const input = byId(`window-${key}-${end}`);
      if (input) input.value = Number(window[end].toFixed(2));
    }
  const choice = byId("preset"), [low, high] = S.windows.get(S.case.first.key);
  if (choice) {
    const found = S.case.presets.findIndex(preset => preset.low === low && preset.high === high);
    choice.value = found < 0 ? "" : found;
  }
}

function moveTo(at) {
  const grid = S.case.first.grid;
  S.at = [0, 1, 2].map(axis => center(grid, axis, clamp(nearest(grid, axis, at[axis]), 0, grid.size[axis] - 1)));
  showValues(S.at);
  speak();
  redraw();
}

function stepBy(axis, count) {
  const at = [...S.at];
  at[axis] += count * S.case.first.grid.spacing[axis];
  moveTo(at);
}

function turnTo(angle) {
  S.angle = ((Math.round(angle / 5) * 5) % 360 + 360) % 360;
  redraw();
}

// Zoom of the view's kind: the planes zoom together, the projection by itself; of all without a view.
function zoomTo(zoom, view = null) {
  const name = view && !view.plane ? "projectionZoom" : "zoom", before = S[name];
  S[name] = clamp(zoom, 1, MOST_ZOOM);
  if (before === 1 && S[name] > 1) centerViews(each => !each.plane === (name === "projectionZoom"));
  redraw();
}

function zoomBy(factor) {
  for (const view of [views[0], ...views.filter(each => !each.plane)]) zoomTo(view.zoom * factor, view);
}

function showWhole() {
  S.zoom = S.projectionZoom = 1;
  redraw();
}

// Zoom of the planes to a lesion and what is around it; the whole image where that is smaller.
function zoomToLesion(lesion) {
  const extent = Math.max(...[0, 1, 2].map(axis => lesion.high[axis] - lesion.low[axis] + S.case.first.grid.spacing[axis]));
  const zooms = views.filter(view => view.plane && view.resize()).map(view => Math.min(view.canvas.width, view.canvas.height) / Math.max(LEAST_FIELD, 2.5 * extent) / view.fitScale());
  S.zoom = clamp(Math.min(MOST_ZOOM, ...zooms), 1, MOST_ZOOM);
  centerViews(view => view.plane);
}

function centerViews(isMeant) {
  for (const view of views.filter(isMeant)) view.middle = view.plane ? [S.at[view.plane.right], S.at[view.plane.down]] : [seenFrom(S.projection, S.angle, S.at)[0], S.at[2]];
}

let pending = 0;
function redraw() {
  if (!pending) pending = requestAnimationFrame(drawNow);
}

function drawNow() {
  cancelAnimationFrame(pending);
  pending = 0;
  if (S.case) for (const view of views) view.draw();
}

// For tests: what is shown, and where on the page a point of the patient is drawn.
function state() {
  return { case: S.case && S.case.name, at: S.at, mode: S.mode, opacity: S.opacity, zoom: S.zoom, projectionZoom: S.projectionZoom, labels: Object.fromEntries(views.map(view => [view.key, view.labels])), angle: S.angle, windows: Object.fromEntries(S.windows), lesion: S.lesion, measures: S.measures.map(each => each.text), values: S.case ? Object.fromEntries(valuesAt(S.at)) : {} };
}
function toPixel(key, patient) {
  const view = views.find(each => each.key === key), box = view.canvas.getBoundingClientRect(), { origin, axes } = S.case.frame;
  const at = [0, 1, 2].map(n => [0, 1, 2].reduce((sum, axis) => sum + (patient[axis] - origin[axis]) * axes[axis][n], 0));
  const [x, y] = view.toCanvas(view.plane ? [at[view.plane.right], at[view.plane.down]] : [seenFrom(S.projection, S.angle, at)[0], at[2]]);
  return [box.left + (x * box.width) / view.canvas.width, box.top + (y * box.height) / view.canvas.height];
}
function cursor(key) {
  const view = views.find(each => each.key === key);
  return view.cursorPlace().map(value => value / view.pixelRatio());
}
