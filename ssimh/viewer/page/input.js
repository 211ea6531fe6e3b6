// What controls, keys, mouse and fingers do.
function bindControls() {
  byId("case").dataset.title = document.title;
  byId("previous").addEventListener("click", () => goToLesion((S.lesion - 1 + S.case.lesions.length) % S.case.lesions.length));
  byId("next").addEventListener("click", () => goToLesion((S.lesion + 1) % S.case.lesions.length));
  byId("smaller").addEventListener("click", () => zoomBy(1 / 1.25));
  byId("larger").addEventListener("click", () => zoomBy(1.25));
  byId("whole").addEventListener("click", showWhole);
  byId("center").addEventListener("click", () => {
    const { extent } = S.case.frame;
    moveTo(extent.start.map((value, axis) => value + ((extent.size[axis] - 1) * extent.spacing[axis]) / 2));
  });
  byId("tool").addEventListener("change", event => (S.tool = event.target.value));
  byId("clear").addEventListener("click", () => {
    S.measures = [];
    byId("measures").replaceChildren();
    redraw();
  });
}

const KEYS = {
  "+": view => zoomTo(view.zoom * 1.25, view),
  "=": view => zoomTo(view.zoom * 1.25, view),
  "-": view => zoomTo(view.zoom / 1.25, view),
  0: showWhole,
  n: () => byId("next").click(),
  b: () => byId("previous").click(),
  o: () => setOpacity(S.opacity - 0.1),
  p: () => setOpacity(S.opacity + 0.1),
};

function pressKey(view, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { plane } = view, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const arrows = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] };
  if (arrows[key] && !plane) arrows[key][0] ? stepBy(2, -arrows[key][1]) : turnTo(S.angle + 5 * arrows[key][1]);
  else if (arrows[key]) {
    const [vertical, sign] = arrows[key];
    stepBy(vertical ? plane.down : plane.right, vertical && plane.headUp ? -sign : sign);
  } else if (key === "PageUp" || key === "PageDown") scroll(view, key === "PageUp" ? 1 : -1);
  else if (/^[1-9]$/.test(key)) setMode(Number(key) - 1);
  else if (key === "m" && plane) measureAt(view, [S.at[plane.right], S.at[plane.down]]);
  else if (KEYS[key]) KEYS[key](view);
  else return;
  event.preventDefault();
}

function scroll(view, count) {
  view.plane ? stepBy(view.plane.across, count) : turnTo(S.angle + 5 * count);
}

// The first call begins a measure, the second one ends it.
function measureAt(view, point) {
  const open = S.measures.find(each => each.open);
  if (open && open.view === view.key) {
    Object.assign(open, { to: point, open: false });
    finishMeasure(open);
  } else beginMeasure(view, point);
  redraw();
}

function beginMeasure(view, point) {
  S.measures = S.measures.filter(each => !each.open);
  const made = { view: view.key, at: S.at[view.plane.across], from: point, to: point, kind: S.tool === "circle" ? "circle" : "distance", open: true, short: "", text: "" };
  S.measures.push(made);
  finishMeasure(made);
  return made;
}

function bindView(view) {
  const { canvas, plane } = view, fingers = new Map();
  let drag = null, pinch = null;
  canvas.addEventListener("keydown", event => pressKey(view, event));
  view.slider.addEventListener("input", () => {
    const n = Number(view.slider.value);
    if (!plane) return turnTo(n);
    const at = [...S.at];
    at[plane.across] = center(S.case.first.grid, plane.across, n);
    moveTo(at);
  });
  if (view.turnButton) view.turnButton.addEventListener("click", () => toggleTurning(view.turnButton));
  canvas.addEventListener("contextmenu", event => event.preventDefault());
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    event.ctrlKey ? zoomTo(view.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15), view) : scroll(view, event.deltaY < 0 ? 1 : -1);
  }, { passive: false });
  canvas.addEventListener("pointerdown", event => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()];
      pinch = { length: Math.hypot(a[0] - b[0], a[1] - b[1]), zoom: view.zoom };
      drag = null;
    } else drag = beginDrag(view, event);
  });
  canvas.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId);
    if (!before) {
      const at = plane && S.case && view.pointAt(event);
      return at && showValues(at);
    }
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pinch && fingers.size === 2) {
      const [a, b] = [...fingers.values()];
      zoomTo((pinch.zoom * Math.hypot(a[0] - b[0], a[1] - b[1])) / Math.max(1, pinch.length), view);
      pan(view, (event.clientX - before[0]) / 2, (event.clientY - before[1]) / 2);
    } else if (drag) drag(event, event.clientX - before[0], event.clientY - before[1]);
  });
  const end = event => {
    fingers.delete(event.pointerId);
    if (!fingers.size) pinch = null;
    drag = null;
    for (const measure of S.measures) measure.open = false;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => S.case && showValues(S.at));
}

// What a drag does from here on: a function of the event and of how far the pointer moved.
function beginDrag(view, event) {
  if (event.button === 2) return (_, dx, dy) => dragWindow(dx, dy);
  if (event.button === 1 || event.shiftKey) return (_, dx, dy) => pan(view, dx, dy);
  if (!view.plane) {
    const from = [event.clientX, S.angle];
    let moved = false;
    const point = view.pointAt(event);
    view.canvas.addEventListener("pointerup", () => !moved && point && moveTo(point), { once: true });
    return later => {
      moved = moved || Math.abs(later.clientX - from[0]) > 4;
      if (moved) turnTo(from[1] - (later.clientX - from[0]) / 2);
    };
  }
  if (S.tool === "cursor") {
    moveTo(view.pointAt(event));
    return later => moveTo(view.pointAt(later));
  }
  const inPlane = later => [view.plane.right, view.plane.down].map(axis => view.pointAt(later)[axis]), made = beginMeasure(view, inPlane(event));
  return later => {
    made.to = inPlane(later);
    finishMeasure(made);
    redraw();
  };
}

function pan(view, dx, dy) {
  if (view.zoom === 1) return;
  const ratio = view.pixelRatio();
  view.middle = [view.middle[0] - (dx * ratio) / view.scale, view.middle[1] - ((view.headUp ? -1 : 1) * dy * ratio) / view.scale];
  redraw();
}

function dragWindow(dx, dy) {
  const mode = S.case.modes[S.mode], [low, high] = S.windows.get(mode.base), speed = (high - low) / 250;
  const width = Math.max((high - low) / 50, high - low + dx * speed), level = (low + high) / 2 + dy * speed;
  setWindow(mode.base, [level - width / 2, level + width / 2]);
}

function toggleTurning(button) {
  clearInterval(turning);
  turning = turning ? 0 : setInterval(() => turnTo(S.angle + 5), 150);
  button.setAttribute("aria-pressed", String(Boolean(turning)));
  button.textContent = turning ? "Stop" : "Turn";
}
