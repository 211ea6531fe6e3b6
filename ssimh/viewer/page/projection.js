// The projection of the largest values along parallel lines, seen from any side around the axis from feet to head.
const MOST_PROJECTED = 2_500_000;  // voxels: about 15 ms an angle

// The scan with z running fastest, and blocks of voxels replaced by their largest value where there are too many.
function prepareProjection(scan) {
  const { size, spacing, start } = scan.grid, block = [1, 1, 1];
  const blocks = () => size.map((n, axis) => Math.ceil(n / block[axis]));
  while (blocks().reduce((a, b) => a * b) > MOST_PROJECTED) {
    const width = block.map((n, axis) => n * spacing[axis]);
    block[width.indexOf(Math.min(...width))]++;
  }
  const [nx, ny, nz] = blocks(), columns = new Uint16Array(nx * ny * nz);
  for (let z = 0, from = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++)
      for (let x = 0; x < size[0]; x++, from++) {
        const to = (Math.floor(y / block[1]) * nx + Math.floor(x / block[0])) * nz + Math.floor(z / block[2]);
        if (scan.numbers[from] > columns[to]) columns[to] = scan.numbers[from];
      }
  const step = block.map((n, axis) => n * spacing[axis]), pixel = Math.min(step[0], step[1]);
  const middle = [0, 1].map(axis => start[axis] + ((size[axis] - 1) * spacing[axis]) / 2);
  const width = Math.ceil(Math.hypot(nx * step[0], ny * step[1]) / pixel);
  const first = [0, 1].map(axis => start[axis] + ((block[axis] - 1) * spacing[axis]) / 2);
  return { scan, columns, size: [nx, ny, nz], step, pixel, width, middle, first, edge: start[2] - spacing[2] / 2 };
}

// Positions across and in depth of a point, seen from an angle: 0 from the front, 90 from the patient's left.
function seenFrom(projection, angle, at) {
  const turn = (angle * Math.PI) / 180, x = at[0] - projection.middle[0], y = at[1] - projection.middle[1];
  return [x * Math.cos(turn) + y * Math.sin(turn), -x * Math.sin(turn) + y * Math.cos(turn)];
}

// Calls back for each step along the line behind a pixel, from the front, with the index of its column.
function along(projection, angle, across, visit) {
  const { size: [nx, ny], step, first, middle, pixel, width } = projection;
  const turn = (angle * Math.PI) / 180, cos = Math.cos(turn), sin = Math.sin(turn);
  for (let n = 0; n < width; n++) {
    const depth = (n - (width - 1) / 2) * pixel;
    const x = Math.round((middle[0] + across * cos - depth * sin - first[0]) / step[0]);
    const y = Math.round((middle[1] + across * sin + depth * cos - first[1]) / step[1]);
    if (x >= 0 && y >= 0 && x < nx && y < ny) visit(x, y, (y * nx + x) * projection.size[2]);
  }
}

function project(projection, angle, table) {
  const { columns, width, size: [, , nz] } = projection, pixels = new Uint32Array(width * nz), line = new Uint16Array(nz);
  for (let column = 0; column < width; column++) {
    let met = false;
    line.fill(0);
    along(projection, angle, (column - (width - 1) / 2) * projection.pixel, (x, y, from) => {
      met = true;
      for (let z = 0; z < nz; z++) if (columns[from + z] > line[z]) line[z] = columns[from + z];
    });
    if (met) for (let z = 0; z < nz; z++) pixels[(nz - 1 - z) * width + column] = table[line[z]];
    else for (let z = 0; z < nz; z++) pixels[z * width + column] = table[0];
  }
  return { columns: width, rows: nz, pixels };
}

// The point of the largest value behind a pixel.
function brightest(projection, angle, across, mm) {
  const { size, step, first, edge, columns } = projection, z = clamp(Math.floor((mm - edge) / step[2]), 0, size[2] - 1);
  let best = -1, found = null;
  along(projection, angle, across, (x, y, from) => {
    if (columns[from + z] > best) {
      best = columns[from + z];
      found = [first[0] + x * step[0], first[1] + y * step[1], mm];
    }
  });
  return found;
}
