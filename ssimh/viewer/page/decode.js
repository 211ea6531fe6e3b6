// Volumes from the text that ssimh.viewer.encode writes.
async function inflate(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = binary.charCodeAt(n);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A grid with short names: size, spacing and start along x, y, z of the frame.
function toGrid(grid) {
  return { size: grid.size, spacing: grid.spacing_mm, start: grid.start_mm };
}

async function decodeScan(scan) {
  const grid = toGrid(scan.grid), [nx, ny, nz] = grid.size, plane = nx * ny, count = plane * nz;
  const bytes = await inflate(scan.data), numbers = new Uint16Array(count);
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++) {
        const kept = bytes[at] | (bytes[at + count] << 8);
        const left = x ? numbers[at - 1] : 0, upper = y ? numbers[at - nx] : 0;
        numbers[at] = ((kept >>> 1) ^ -(kept & 1)) + (left >>> 1) + (upper >>> 1);
      }
  return { ...scan, data: null, grid, numbers };
}

async function decodeMask(mask) {
  if (!mask.grid) return { ...mask, values: new Uint8Array(0), outlines: new Map() };
  return { ...mask, data: null, grid: toGrid(mask.grid), values: await inflate(mask.data), outlines: new Map() };
}

async function decodeCase(content) {
  const scans = await Promise.all(content.scans.map(decodeScan));
  const masks = await Promise.all(content.masks.map(decodeMask));
  const frame = { ...content.frame, extent: toGrid(content.frame.extent) };
  return { ...content, frame, masks, scans: new Map(scans.map(scan => [scan.key, scan])), first: scans[0] };
}
