// Planes through scans. A plane has an axis across it, one to the right and one down; z is drawn with the head up.
const PLANES = {
  axial: { name: "Axial", across: 2, right: 0, down: 1, headUp: false, edges: ["R", "L", "A", "P"] },
  coronal: { name: "Coronal", across: 1, right: 0, down: 2, headUp: true, edges: ["R", "L", "H", "F"] },
  sagittal: { name: "Sagittal", across: 0, right: 1, down: 2, headUp: true, edges: ["A", "P", "H", "F"] },
};
const WORDS = { R: "right", L: "left", A: "front", P: "back", H: "head", F: "feet" };

// 256 colors of each map, as [red, green, blue]; inferno and RdBu_r of Matplotlib from a few of their colors.
const STOPS = {
  gray: ["000000", "ffffff"],
  gray_r: ["ffffff", "000000"],
  purple: ["cc79a7", "cc79a7"],
  inferno: ["000004", "160b39", "420a68", "6a176e", "932667", "bc3754", "dd513a", "f37819", "fca50a", "f6d746", "fcffa4"],
  RdBu_r: ["053061", "2971b1", "6bacd1", "c2ddec", "f7f6f6", "fbccb4", "e48066", "ba2832", "67001f"],
};
function colors(name) {
  const stops = STOPS[name].map(text => [0, 2, 4].map(at => parseInt(text.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, n) => {
    const place = (n / 255) * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
    return stops[low].map((value, part) => Math.round(value + (stops[low + 1][part] - value) * (place - low)));
  });
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const nearest = (grid, axis, mm) => Math.round((mm - grid.start[axis]) / grid.spacing[axis]);
const isIn = (grid, axis, n) => n >= 0 && n < grid.size[axis];
const center = (grid, axis, n) => grid.start[axis] + n * grid.spacing[axis];

// The stored value at a point of the frame, or null beyond the scan.
function valueAt(scan, at) {
  const grid = scan.grid, [x, y, z] = [0, 1, 2].map(axis => nearest(grid, axis, at[axis]));
  if (!isIn(grid, 0, x) || !isIn(grid, 1, y) || !isIn(grid, 2, z)) return null;
  return scan.offset + scan.step * scan.numbers[(z * grid.size[1] + y) * grid.size[0] + x];
}

// For a window, the color of every number a scan holds; alpha rises with the value where the scan is laid over another.
function lookup(scan, window, colormap) {
  const table = new Uint32Array(65536), map = colors(colormap), [low, high] = window;
  for (let n = 0; n < 65536; n++) {
    const share = clamp((scan.offset + scan.step * n - low) / (high - low), 0, 1);
    const [red, green, blue] = map[Math.round(share * 255)];
    table[n] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return table;
}

const strides = size => [1, size[0], size[0] * size[1]];

// The slice of a scan as pixels of its own grid: rows from top to bottom.
function drawBase(scan, plane, at, table) {
  const { size } = scan.grid, step = strides(size), across = nearest(scan.grid, plane.across, at[plane.across]);
  const columns = size[plane.right], rows = size[plane.down], pixels = new Uint32Array(columns * rows);
  if (!isIn(scan.grid, plane.across, across)) return { columns, rows, pixels };
  for (let row = 0, to = 0; row < rows; row++) {
    const down = plane.headUp ? rows - 1 - row : row;
    let from = across * step[plane.across] + down * step[plane.down];
    for (let column = 0; column < columns; column++, from += step[plane.right]) pixels[to++] = table[scan.numbers[from]];
  }
  return { columns, rows, pixels };
}

// Where the voxels of one grid lie in another, along an axis: lower neighbor, and the share of the upper one.
function neighbors(grid, axis, other, otherSize) {
  const lower = new Int32Array(otherSize), share = new Float32Array(otherSize), inside = new Uint8Array(otherSize);
  for (let n = 0; n < otherSize; n++) {
    const place = (center(other, axis, n) - grid.start[axis]) / grid.spacing[axis];
    inside[n] = place >= -0.5 && place <= grid.size[axis] - 0.5;
    const kept = clamp(place, 0, grid.size[axis] - 1);
    lower[n] = Math.min(Math.floor(kept), Math.max(0, grid.size[axis] - 2));
    share[n] = grid.size[axis] > 1 ? kept - lower[n] : 0;
  }
  return { lower, share, inside };
}

// One slice of a scan between its own slices, as whole numbers and fractions.
function slab(scan, plane, at) {
  const { size, start, spacing } = scan.grid, step = strides(size), axis = plane.across;
  const place = (at[axis] - start[axis]) / spacing[axis];
  if (place < -0.5 || place > size[axis] - 0.5) return null;
  const kept = clamp(place, 0, size[axis] - 1), lower = Math.min(Math.floor(kept), Math.max(0, size[axis] - 2));
  const share = size[axis] > 1 ? kept - lower : 0, columns = size[plane.right], rows = size[plane.down];
  const values = new Float32Array(columns * rows);
  for (let down = 0, to = 0; down < rows; down++) {
    let from = lower * step[axis] + down * step[plane.down];
    for (let right = 0; right < columns; right++, to++, from += step[plane.right])
      values[to] = share ? scan.numbers[from] * (1 - share) + scan.numbers[from + step[axis]] * share : scan.numbers[from];
  }
  return { values, columns };
}

// Lay a scan over the pixels of another one, interpolated; more opaque where its value is higher.
function layOver(base, picture, scan, plane, at, window, opacity) {
  const cut = slab(scan, plane, at);
  if (!cut || opacity === 0) return;
  const { columns, rows, pixels } = picture, { values } = cut, map = colors(scan.colormap), [low, high] = window;
  const right = neighbors(scan.grid, plane.right, base.grid, columns), down = neighbors(scan.grid, plane.down, base.grid, rows);
  const scale = 255 / (high - low), two = scan.colormap === "RdBu_r";
  const last = scan.grid.size[plane.right] > 1 ? 1 : 0, below = scan.grid.size[plane.down] > 1 ? cut.columns : 0;
  for (let row = 0, to = 0; row < rows; row++) {
    const y = plane.headUp ? rows - 1 - row : row, line = down.lower[y] * cut.columns, v = down.share[y];
    for (let column = 0; column < columns; column++, to++) {
      if (!right.inside[column] || !down.inside[y]) continue;
      const from = line + right.lower[column], u = right.share[column];
      const top = values[from] * (1 - u) + values[from + last] * u, bottom = values[from + below] * (1 - u) + values[from + below + last] * u;
      const place = clamp((scan.offset + scan.step * (top * (1 - v) + bottom * v) - low) * scale, 0, 255) | 0;
      // Nothing is hidden where there is nothing to see; of a difference, that is its middle.
      const strength = two ? Math.min(1, Math.abs(place - 127.5) / 64) : Math.min(1, place / 100);
      const alpha = opacity * strength;
      if (alpha < 0.004) continue;
      const under = pixels[to], color = map[place];
      const red = (under & 255) * (1 - alpha) + color[0] * alpha;
      const green = ((under >> 8) & 255) * (1 - alpha) + color[1] * alpha;
      const blue = ((under >> 16) & 255) * (1 - alpha) + color[2] * alpha;
      pixels[to] = (255 << 24) | (blue << 16) | (green << 8) | red;
    }
  }
}
