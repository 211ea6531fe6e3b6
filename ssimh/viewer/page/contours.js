// Outlines of masks: the borders of their voxels, as closed lines in mm of the frame.
function maskIndex(mask, at) {
  const found = [0, 1, 2].map(axis => nearest(mask.grid, axis, at[axis]));
  return found.every((n, axis) => isIn(mask.grid, axis, n)) ? found : null;
}

function maskValueAt(mask, at) {
  const found = mask.grid && maskIndex(mask, at);
  return found ? mask.values[(found[2] * mask.grid.size[1] + found[1]) * mask.grid.size[0] + found[0]] : 0;
}

// Lines around the pixels of a value: each runs with the inside on its right, corners only.
function trace(inside, columns, rows) {
  const next = new Map(), key = (x, y) => y * (columns + 1) + x;
  const edge = (x, y, toX, toY) => {
    const from = key(x, y);
    next.has(from) ? next.get(from).push([toX, toY]) : next.set(from, [[toX, toY]]);
  };
  const is = (x, y) => x >= 0 && y >= 0 && x < columns && y < rows && inside(x, y);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      if (!is(x, y)) continue;
      if (!is(x, y - 1)) edge(x, y, x + 1, y);
      if (!is(x + 1, y)) edge(x + 1, y, x + 1, y + 1);
      if (!is(x, y + 1)) edge(x + 1, y + 1, x, y + 1);
      if (!is(x - 1, y)) edge(x, y + 1, x, y);
    }
  const lines = [];
  for (const [from, ends] of next)
    while (ends.length) {
      const line = [], begin = [from % (columns + 1), Math.floor(from / (columns + 1))];
      let here = begin;
      do {
        const last = line[line.length - 1], before = line[line.length - 2];
        if (before && ((before[0] === last[0] && last[0] === here[0]) || (before[1] === last[1] && last[1] === here[1]))) line.pop();
        line.push(here);
        here = next.get(key(...here)).pop();
      } while (here[0] !== begin[0] || here[1] !== begin[1]);
      lines.push(line);
    }
  return lines;
}

// For each style of a mask its lines on a plane, as [right, down] in mm.
function outlinesOf(mask, planeKey, at) {
  const plane = PLANES[planeKey];
  if (!mask.grid) return [];
  const { size, start, spacing } = mask.grid, n = nearest(mask.grid, plane.across, at[plane.across]);
  if (!isIn(mask.grid, plane.across, n)) return [];
  const name = `${planeKey} ${n}`;
  if (mask.outlines.has(name)) return mask.outlines.get(name);
  const step = strides(size), base = n * step[plane.across];
  const toMm = ([x, y]) => [start[plane.right] + (x - 0.5) * spacing[plane.right], start[plane.down] + (y - 0.5) * spacing[plane.down]];
  const found = mask.styles.map(style => {
    const inside = (x, y) => mask.values[base + x * step[plane.right] + y * step[plane.down]] === style.value;
    return { style, lines: trace(inside, size[plane.right], size[plane.down]).map(line => line.map(toMm)) };
  });
  mask.outlines.set(name, found);
  return found;
}
