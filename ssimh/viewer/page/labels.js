// Where names of lesions stand: beside their lesion, over no other name, no line of the cursor and no letter.
// Boxes are [left, top, right, bottom] in pixels of the canvas.
const RINGS = 7, LEADER = 12;

function sharedArea(a, b) {
  return Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
}

// Boxes of a size around a lesion, the nearest first: right and left of it, then above and below, on both sides of its middle.
function* boxesAround([left, top, right, bottom], width, height, gap) {
  const x = (left + right) / 2, y = (top + bottom) / 2;
  for (let ring = 0; ring < RINGS; ring++) {
    const away = gap + ring * height;
    const corners = [
      ...[top - height, bottom, top - gap - height, y - height / 2 - gap, y + gap].map(at => [right + away, at]),
      ...[top - height, bottom, top - gap - height, y - height / 2 - gap, y + gap].map(at => [left - away - width, at]),
      ...[x + gap, x - gap - width].flatMap(at => [[at, top - away - height], [at, bottom + away]]),
    ];
    for (const [a, b] of corners) yield [a, b, a + width, b + height];
  }
}

// Each label is { anchor, width, height }, the most important first; obstacles are { box, weight }. The first box that
// touches nothing is taken, and where there is none, the one that covers least. Returns a box for each label.
function placeLabels(labels, obstacles, [columns, rows], gap) {
  const taken = [...obstacles];
  return labels.map(({ anchor, width, height }) => {
    let best = null, least = Infinity;
    for (const tried of boxesAround(anchor, width, height, gap)) {
      const left = clamp(tried[0], 0, Math.max(0, columns - width)), top = clamp(tried[1], 0, Math.max(0, rows - height));
      const box = [left, top, left + width, top + height];
      const cost = taken.reduce((sum, each) => sum + each.weight * sharedArea(box, each.box), sharedArea(box, anchor));
      if (cost < least) [best, least] = [box, cost];
      if (cost === 0) break;
    }
    taken.push({ box: best, weight: 10 });
    return best;
  });
}

// A line from a label that is not beside its lesion, or null.
function leaderOf(box, anchor, shortest) {
  const x = [clamp((anchor[0] + anchor[2]) / 2, box[0], box[2]), clamp((box[0] + box[2]) / 2, anchor[0], anchor[2])];
  const y = [clamp((anchor[1] + anchor[3]) / 2, box[1], box[3]), clamp((box[1] + box[3]) / 2, anchor[1], anchor[3])];
  return Math.hypot(x[1] - x[0], y[1] - y[0]) > shortest ? [[x[0], y[0]], [x[1], y[1]]] : null;
}
