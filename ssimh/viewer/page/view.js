// One view: a canvas with a plane or the projection, its letters, and a slider below.
const HALO = "rgba(0,0,0,.75)", CURSOR = "#f0e442", MARK = "#ffffff";

function makeElement(kind, properties = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(properties))
    name in made ? (made[name] = value) : made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class View {
  constructor(key, plane) {
    this.key = key;
    this.plane = plane;
    const name = plane ? plane.name : "Projection";
    this.canvas = makeElement("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "view of the scan" });
    this.slider = makeElement("input", { type: "range", step: 1, min: 0, max: plane ? 0 : 355, "aria-label": plane ? `${name} slice` : "Angle of the projection" });
    this.caption = makeElement("span", { className: "caption" });
    const bar = makeElement("div", { className: "bar" }, this.slider);
    if (!plane) {
      this.slider.step = 5;
      this.turnButton = makeElement("button", { type: "button", textContent: "Turn", "aria-pressed": "false" });
      bar.append(this.turnButton);
    }
    this.frame = makeElement("div", { className: "picture" }, this.canvas, this.caption);
    this.letters = [0, 1, 2, 3].map(n => makeElement("b", { className: "edge " + "lrtb"[n], "aria-hidden": "true" }));
    this.frame.append(...this.letters);
    this.element = makeElement("div", { className: "view", id: `view-${key}` }, this.frame, bar);
    this.off = document.createElement("canvas");
    this.middle = [0, 0];
    this.labels = [];
  }

  // The mm that the picture covers: right and down, from lower to upper end.
  bounds() {
    if (!this.plane) {
      const { width, pixel } = S.projection, grid = S.projection.scan.grid;
      return [-(width * pixel) / 2, (width * pixel) / 2, grid.start[2] - grid.spacing[2] / 2, grid.start[2] + (grid.size[2] - 0.5) * grid.spacing[2]];
    }
    const grid = S.case.frame.extent, ends = axis => [grid.start[axis] - grid.spacing[axis] / 2, grid.start[axis] + (grid.size[axis] - 0.5) * grid.spacing[axis]];
    return [...ends(this.plane.right), ...ends(this.plane.down)];
  }

  get headUp() {
    return this.plane ? this.plane.headUp : true;
  }

  // The projection has a zoom of its own: it stays whole while the planes show a lesion.
  get zoom() {
    return this.plane ? S.zoom : S.projectionZoom;
  }

  // Pixels of the canvas for each mm where the whole image is in sight.
  fitScale() {
    const [left, right, low, high] = this.bounds();
    return Math.min(this.canvas.width / (right - left), this.canvas.height / (high - low));
  }

  // Pixels of the canvas for each mm, and the place of a point (right, down) in mm.
  fit() {
    const [left, right, low, high] = this.bounds();
    this.scale = this.fitScale() * this.zoom;
    if (this.zoom === 1) this.middle = [(left + right) / 2, (low + high) / 2];
  }
  toCanvas([right, down]) {
    const sign = this.headUp ? -1 : 1;
    return [this.canvas.width / 2 + (right - this.middle[0]) * this.scale, this.canvas.height / 2 + sign * (down - this.middle[1]) * this.scale];
  }
  toMm(x, y) {
    const sign = this.headUp ? -1 : 1;
    return [this.middle[0] + (x - this.canvas.width / 2) / this.scale, this.middle[1] + (sign * (y - this.canvas.height / 2)) / this.scale];
  }
  // The point of the frame under a pointer; null on the projection where nothing is behind it.
  pointAt(event) {
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / box.width;
    const [right, down] = this.toMm((event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio);
    if (!this.plane) return brightest(S.projection, S.angle, right, down);
    const at = [...S.at];
    at[this.plane.right] = right;
    at[this.plane.down] = down;
    return at;
  }

  resize() {
    const box = this.frame.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    return box.width > 0;
  }

  draw() {
    if (!this.resize()) return;
    this.fit();
    const context = this.canvas.getContext("2d"), name = this.pictureName();
    const picture = this.picture && this.picture.name === name ? this.picture : this.plane ? slicePicture(this.plane) : projectionPicture();
    context.fillStyle = this.plane ? "#000" : picture.ground;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (picture !== this.picture) {
      if (this.off.width !== picture.columns || this.off.height !== picture.rows) Object.assign(this.off, { width: picture.columns, height: picture.rows });
      this.off.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(picture.pixels.buffer), picture.columns, picture.rows), 0, 0);
      this.picture = { ...picture, name, pixels: null };
    }
    const [a, b] = [this.toCanvas([picture.left, picture.low]), this.toCanvas([picture.right, picture.high])];
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "medium";
    context.drawImage(this.off, a[0], Math.min(a[1], b[1]), b[0] - a[0], Math.abs(b[1] - a[1]));
    if (this.plane) this.drawOutlines(context);
    this.describe();
    this.drawCursor(context);
    this.drawMarks(context);
    if (this.plane) this.drawMeasures(context);
  }

  // Everything that the picture without its lines depends on: the same name, the same picture.
  pictureName() {
    const windows = [...S.windows].join();
    return this.plane ? [S.generation, S.at[this.plane.across], S.mode, windows, S.opacity].join() : [S.generation, S.angle, windows].join();
  }

  drawOutlines(context) {
    const ratio = this.pixelRatio();
    context.lineJoin = "round";
    for (const mask of S.case.masks) {
      for (const { style, lines } of outlinesOf(mask, this.key, S.at)) {
        if (!S.shown.has(`${mask.key} ${style.value}`) || !lines.length) continue;
        const path = new Path2D();
        for (const line of lines) {
          line.forEach((point, n) => path[n ? "lineTo" : "moveTo"](...this.toCanvas(point)));
          path.closePath();
        }
        context.setLineDash([]);
        context.strokeStyle = HALO;
        context.lineWidth = 4 * ratio;
        context.stroke(path);
        context.setLineDash(style.dash.map(length => length * ratio));
        context.strokeStyle = style.color;
        context.lineWidth = 2.2 * ratio;
        context.stroke(path);
      }
    }
    context.setLineDash([]);
  }

  pixelRatio() {
    return this.canvas.width / Math.max(1, this.canvas.clientWidth);
  }

  // Names of lesions beside them: on planes where they are cut, on the projection always.
  drawMarks(context) {
    const ratio = this.pixelRatio(), found = S.marks ? this.findMarks() : [];
    for (const { n, at } of this.plane ? [] : found) this.drawRing(context, at, n === S.lesion);
    for (const mark of found) {
      context.font = this.font(mark.n === S.lesion);
      Object.assign(mark, { text: lesionName(S.case.lesions[mark.n]), height: 15 * ratio });
      mark.width = Math.ceil(context.measureText(mark.text).width) + 4 * ratio;
    }
    found.sort((a, b) => (b.n === S.lesion) - (a.n === S.lesion));
    const obstacles = [...this.obstacles(context), ...found.map(mark => ({ box: mark.anchor, weight: 1 }))];
    const boxes = placeLabels(found, obstacles, [this.canvas.width, this.canvas.height], 4 * ratio);
    this.labels = found.map((mark, at) => ({ text: mark.text, box: boxes[at].map(value => value / ratio) }));
    found.forEach((mark, at) => {
      const leader = leaderOf(boxes[at], mark.anchor, LEADER * ratio);
      if (leader) this.strokeBoth(context, () => leader.forEach((point, n) => context[n ? "lineTo" : "moveTo"](...point)), 1);
      this.writeAt(context, mark.text, boxes[at][0] + 2 * ratio, boxes[at][3] - 4 * ratio, mark.n === S.lesion);
    });
  }

  // The lesions in sight, each with the box that it has on the canvas.
  findMarks() {
    const { plane } = this, ratio = this.pixelRatio(), found = [], { width, height } = this.canvas;
    S.case.lesions.forEach((lesion, n) => {
      let at, anchor;
      if (plane) {
        const { spacing } = S.case.first.grid, half = axis => spacing[axis] / 2, here = S.at[plane.across];
        if (here < lesion.low[plane.across] - half(plane.across) || here > lesion.high[plane.across] + half(plane.across)) return;
        const ends = [lesion.low, lesion.high].map((end, side) => [plane.right, plane.down].map(axis => end[axis] + (side ? 1 : -1) * half(axis)));
        const [a, b] = ends.map(end => this.toCanvas(end));
        anchor = [a[0], Math.min(a[1], b[1]), b[0], Math.max(a[1], b[1])];
      } else {
        at = this.toCanvas([seenFrom(S.projection, S.angle, lesion.center)[0], lesion.center[2]]);
        anchor = [at[0] - 6 * ratio, at[1] - 6 * ratio, at[0] + 6 * ratio, at[1] + 6 * ratio];
      }
      if (anchor[2] < 0 || anchor[0] > width || anchor[3] < 0 || anchor[1] > height) return;
      found.push({ n, at, anchor: anchor.map((value, side) => clamp(value, 0, side % 2 ? height : width)) });
    });
    return found;
  }

  // What a name may not cover: the cursor's lines, the caption and the letters at the edges.
  obstacles(context) {
    const ratio = this.pixelRatio(), { width, height } = this.canvas, [x, y] = this.cursorPlace(), thick = 3 * ratio, letter = 12 * ratio;
    context.font = this.font(false);
    const caption = context.measureText(this.caption.textContent).width + 18 * ratio, top = 36 * ratio;
    const boxes = [
      [0, y - thick, width, y + thick], [x - thick, 0, x + thick, height], [0, 0, caption, 26 * ratio],
      [0, height / 2 - letter, 2 * letter, height / 2 + letter], [width - 2 * letter, height / 2 - letter, width, height / 2 + letter],
      [width / 2 - letter, top - letter, width / 2 + letter, top + letter], [width / 2 - letter, height - 2 * letter, width / 2 + letter, height],
    ];
    return boxes.map(box => ({ box, weight: 10 }));
  }

  font(isStrong) {
    return `${isStrong ? "bold " : ""}${12 * this.pixelRatio()}px system-ui, sans-serif`;
  }

  // A path in white with a dark border, so that it is seen on any ground.
  strokeBoth(context, path, width) {
    const ratio = this.pixelRatio();
    context.beginPath();
    path();
    for (const [style, more] of [[HALO, 2.4], [MARK, 0]]) {
      context.strokeStyle = style;
      context.lineWidth = (width + more) * ratio;
      context.stroke();
    }
  }

  drawRing(context, [x, y], isStrong) {
    this.strokeBoth(context, () => context.arc(x, y, (isStrong ? 5 : 4) * this.pixelRatio(), 0, 7), isStrong ? 2.2 : 1.6);
  }

  writeAt(context, text, left, base, isStrong) {
    context.font = this.font(isStrong);
    context.lineJoin = "round";
    context.strokeStyle = "rgba(0,0,0,.85)";
    context.lineWidth = 4 * this.pixelRatio();
    context.strokeText(text, left, base);
    context.fillStyle = MARK;
    context.fillText(text, left, base);
  }

  cursorPlace() {
    const shown = this.plane ? [S.at[this.plane.right], S.at[this.plane.down]] : [seenFrom(S.projection, S.angle, S.at)[0], S.at[2]];
    return this.toCanvas(shown).map(Math.round);
  }

  // Four lines that leave the middle free, so that the voxel under the cursor is seen.
  drawCursor(context) {
    const [x, y] = this.cursorPlace(), gap = 9 * this.pixelRatio(), { width, height } = this.canvas;
    context.beginPath();
    for (const [ax, ay, bx, by] of [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
      context.moveTo(ax + 0.5, ay + 0.5);
      context.lineTo(bx + 0.5, by + 0.5);
    }
    context.strokeStyle = "rgba(0,0,0,.5)";
    context.lineWidth = 3;
    context.stroke();
    context.strokeStyle = CURSOR;
    context.lineWidth = 1;
    context.stroke();
  }

  drawMeasures(context) {
    const ratio = this.pixelRatio();
    for (const measure of S.measures) {
      if (measure.view !== this.key || Math.abs(measure.at - S.at[this.plane.across]) > S.case.first.grid.spacing[this.plane.across] / 2) continue;
      const from = this.toCanvas(measure.from), to = this.toCanvas(measure.to);
      this.strokeBoth(context, () => {
        if (measure.kind === "circle") return context.arc(...from, Math.hypot(to[0] - from[0], to[1] - from[1]), 0, 7);
        context.moveTo(...from);
        context.lineTo(...to);
      }, 1.6);
      context.font = this.font(false);
      const left = clamp(to[0] + 3 * ratio, 0, Math.max(0, this.canvas.width - context.measureText(measure.short).width));
      this.writeAt(context, measure.short, left, clamp(to[1] - 4 * ratio, 13 * ratio, this.canvas.height - 3 * ratio), false);
    }
  }

  // Letters at the edges, the caption, the slider, and the words for those who do not see the picture.
  describe() {
    const edges = this.plane ? this.plane.edges : [...sidesOf(S.angle), "H", "F"];
    this.letters.forEach((letter, n) => (letter.textContent = edges[n]));
    let where;
    if (this.plane) {
      const grid = S.case.first.grid, axis = this.plane.across, n = nearest(grid, axis, S.at[axis]);
      this.slider.max = grid.size[axis] - 1;
      this.slider.value = n;
      const words = `slice ${n + 1} of ${grid.size[axis]}, ${millimeters(axis)}`;
      where = `${this.plane.name}, ${words}`;
      this.slider.setAttribute("aria-valuetext", words);
    } else {
      this.slider.value = S.angle;
      where = `${S.projection.scan.name}, maximum-intensity projection, ${S.angle}°`;
      this.slider.setAttribute("aria-valuetext", `${S.angle} degrees, ${WORDS[edges[0]]} on the left`);
    }
    this.caption.textContent = where;
    this.canvas.setAttribute("aria-label", `${where}. ${WORDS[edges[0]]} on the left, ${WORDS[edges[2]]} above.`);
  }
}

function sidesOf(angle) {
  const at = Math.round(angle / 90) % 4;
  return [["R", "L"], ["A", "P"], ["L", "R"], ["P", "A"]][at];
}

// The position of a slice along the patient's axis that it is nearly perpendicular to, as the file states it.
function millimeters(axis) {
  const { origin, axes } = S.case.frame, value = origin[axis] + axes[axis].reduce((sum, part, n) => sum + part * S.at[n], 0);
  return `${"xyz"[axis]} = ${value.toFixed(1).replace(/^-/, "−")} mm`;
}

function lesionName(lesion) {
  return lesion.status ? `${lesion.label} ${lesion.status}` : lesion.label;
}

// Pixels of a plane with the part of the frame that they cover.
function slicePicture(plane) {
  const mode = S.case.modes[S.mode], base = S.case.scans.get(mode.base), colormap = mode.colormap || base.colormap;
  const picture = drawBase(base, plane, S.at, tableOf(base, colormap));
  if (mode.overlay) {
    const over = S.case.scans.get(mode.overlay);
    layOver(base, picture, over, plane, S.at, S.windows.get(over.key), S.opacity);
  }
  const edge = (axis, n) => base.grid.start[axis] + (n - 0.5) * base.grid.spacing[axis];
  return { ...picture, left: edge(plane.right, 0), right: edge(plane.right, picture.columns), low: edge(plane.down, 0), high: edge(plane.down, picture.rows) };
}

function projectionPicture() {
  const { scan } = S.projection, table = tableOf(scan, S.projectedColormap, S.case.projectedWindow), picture = project(S.projection, S.angle, table);
  const half = (picture.columns * S.projection.pixel) / 2, low = S.projection.edge, ground = S.projectedColormap === "gray_r" ? "#fff" : "#000";
  return { ...picture, left: -half, right: half, low, high: low + picture.rows * S.projection.step[2], ground };
}

function tableOf(scan, colormap, fixed = null) {
  const window = fixed || S.windows.get(scan.key), name = `${scan.key} ${colormap} ${window}`;
  if (!S.tables.has(name)) {
    if (S.tables.size > 8) S.tables.clear();
    S.tables.set(name, lookup(scan, window, colormap));
  }
  return S.tables.get(name);
}
