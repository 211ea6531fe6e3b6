"""What the computing functions of ``hnseg`` give on arrays: images, grids, crops, SUV."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from hnseg.images import components, resample
from hnseg.images.geometry import Grid
from hnseg.inference import postprocess
from hnseg.inference.tiling import cheapest_tiling, tile
from hnseg.preprocessing import normalize
from hnseg.preprocessing.crop.find_box import PLACEMENTS, find_crop
from hnseg.settings.predict import PredictConfig
from hnseg.settings.prepare import PrepareConfig
from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.pet_header import PetHeader, PetSlice
from tests.results.inputs import label, mask, noise, uniform, uptake, volume
from tests.results.lock_file import Recipe

CONNECTIVITY = (6, 18, 26)
METHODS = tuple(PLACEMENTS)


def grid_of(array: np.ndarray, number: int, spacing_mm: float = 3.0) -> Grid:
    """A grid of an array (z, y, x), shifted with voxels of another size for each input; a third is flipped."""
    z, y, x = array.shape
    sign = -1.0 if number % 3 == 0 else 1.0
    step = spacing_mm * (1 + number % 4 / 8)
    direction = (sign, 0.0, 0.0, 0.0, sign, 0.0, 0.0, 0.0, 1.0)
    return Grid((x, y, z), (step, step, 1.5 * step), (-20.0 - number, -30.0, 5.0 * (number % 2)), direction)


def spacing(number: int) -> tuple[float, float, float]:
    """(z, y, x) in mm."""
    return 3.0, 1 + number % 3 / 4, 1.25


def sampled(number: int) -> Any:
    """A volume on a finer upright grid that reaches beyond it, by each interpolation in turn."""
    array = np.concatenate([volume(number)] * 2)  # ITK's cubic interpolation of two slices differs from call to call
    grid = grid_of(array, number)
    low, high = grid.bounds_mm()
    target = resample.covering_grid(low - 2, high + 3, 2.5)
    return resample.resample(
        array, grid, target, outside=-1024, interpolation=("linear", "cubic", "nearest")[number % 3]
    )


def sampled_label(number: int) -> Any:
    """A label on an upright grid, by both methods."""
    array = label(number)
    grid = grid_of(array, number)
    target = resample.covering_grid(*grid.bounds_mm(), 2.25)
    return resample.resample_label(array, grid, target, method=("nearest", "linear")[number % 2])


def parts(number: int) -> Any:
    """Labels and sizes of components."""
    found = components.connected_components(label(number, part=1) > 0, CONNECTIVITY[number % 3])
    return {"labels": found.labels, "sizes": found.sizes_vox.tolist(), "box": [[s.start, s.stop] for s in found.box]}


def match(number: int) -> Any:
    """Lesions of two labels, by each matching in turn."""
    options = {"matching": ("greedy", "hungarian", "grouped")[number % 3], "iou_threshold": 0.1 * (number % 4)}
    found = components.match_lesions(label(number) > 0, label(number, part=1) > 0, connectivity=6, **options)
    return {name: np.asarray(value).tolist() for name, value in vars(found).items()}


def removed(record: list[postprocess.Removal]) -> dict[str, Any]:
    """What was removed, as numbers."""
    return {
        "voxels": [part.voxels for part in record],
        "labels": [part.label for part in record],
        "distances": [part.distance_mm or 0.0 for part in record],
    }


def postprocessed(number: int) -> Any:
    """Islands and far nodes."""
    settings = PredictConfig(
        min_gtvp_ml=0.02, min_gtvn_ml=0.05, min_gtvn_vox=number % 9, max_node_distance_mm=4 + number % 9
    )
    kept, record = postprocess.postprocess_label(label(number, part=1), spacing(number), settings)
    return {"kept": kept, **removed(record)}


def islands(number: int) -> Any:
    """Components below a size in ml or voxels."""
    least = {"min_ml": (0.01, 0.04)} if number % 2 else {"min_vox": (4, 12)}
    kept, record = postprocess.remove_islands(
        label(number), **least, voxel_ml=0.004, connectivity=CONNECTIVITY[number % 3]
    )
    return {"kept": kept, **removed(record)}


def far_nodes(number: int) -> Any:
    """Nodes beyond a distance."""
    options = {"max_distance_mm": 2.0 + number % 7, "spacing_zyx_mm": spacing(number)}
    kept, record = postprocess.apply_distance_prior(label(number), **options)
    return {"kept": kept, **removed(record)}


def normalized_ct(number: int) -> Any:
    """With and without clipping and sigmoid."""
    window = (-250.0 + number, 250.0)
    return normalize.normalize_ct(volume(number), window, clip=number % 2 == 0, sigmoid=number % 3 > 0)


def normalized_pet(number: int) -> Any:
    """Both scales, with and without sigmoid."""
    return normalize.normalize_pet(uptake(number)[::2], scale=("z-score", "suv")[number % 2], sigmoid=number % 3 > 0)


def padded(number: int) -> Any:
    """Values beyond the crop."""
    settings = PrepareConfig(clip_ct_window=number % 2 == 0, sigmoid=number % 3 > 0, ct_window_hu=(-250 + number, 250))
    return list(normalize.pad_values(settings))


def crop(number: int) -> Any:
    """A body with a hot and bony head at its upper end, by each method in turn; without a CT at every tenth input."""
    z, y, x = np.ogrid[:40, :24, :24]
    center, top = (y - 12) ** 2 + (x - 12 + number % 3) ** 2, z > 25
    head = center + ((z - 33) * 0.75) ** 2
    ct = np.where((center < 100) & ~top | (head < 80) & top, 40.0, -1000.0) + 20 * noise(number, (40, 24, 24))
    ct[(head > 49) & (head < 80) & top] = 900
    suv = np.where(ct > -500, 1.0, 0.05) + uniform(number, ct.shape) / 8
    suv[(head < 45) & top] = 8 + number % 4
    grid = Grid((24, 24, 40), (10.0, 10.0, 10.0), (-115.0 + number, -120.0, -300.0))
    known = (None, None) if number % 10 == 9 else (ct, grid)
    found = find_crop(*known, suv, grid, box_vox=(20, 20, 24), spacing_mm=10.0, method=METHODS[number % len(METHODS)])
    return {"origin": list(found.grid.origin_mm), "confidence": found.confidence}


def suv(number: int) -> Any:
    """Factors of a header: units, kinds, decay correction, and slices at other times."""
    start = datetime(2026, 1, 1, 12, 0)
    times = [start + timedelta(minutes=60 + number + 2 * part) for part in range(3)]
    header = PetHeader(
        units=("BQML", "GML")[number % 10 == 9],
        suv_type="BW" if number % 10 == 9 else None,
        decay_correction=("START", "ADMIN", "START")[number % 3],
        corrected_image=("ATTN", "DECY"),
        weight_kg=60.0 + number,
        height_m=1.6 + number / 200,
        sex="MF"[number % 2],
        dose_bq=3e8 + 1e6 * number,
        half_life_s=6586.2,
        nuclide="18F",
        injection_time=start,
        series_time=times[0],
        slices=tuple(
            PetSlice(acquisition_time=time, frame_duration_s=120.0, frame_reference_time_s=0.0) for time in times
        ),
    )
    found = compute_suv_conversion(header, ("bw", "lbm", "bsa", "ibw")[number % 4])
    return {"factors": list(found.factors)}


def tiles(number: int) -> Any:
    """Windows over a volume."""
    found = tile((40 + number, 33, 50 - number % 7), (16, 16, 24), overlap=0.125 * (number % 7))
    return {name: np.asarray(value, object).tolist().__repr__() for name, value in vars(found).items()}


def cheapest(number: int) -> Any:
    """The cheapest windows within a size."""
    options = {"multiple": 8, "overlap": 0.25, "max_voxels": 16**3 * (1 + number % 5)}
    return repr(cheapest_tiling((40 + number, 33, 50), (16, 16, 16), **options))


def grids(number: int) -> Any:
    """Voxels to millimeters and back, ends, and volume of a voxel."""
    grid = grid_of(volume(number), number)
    points = 10 * uniform(number, (4, 3))
    low, high = grid.bounds_mm()
    return {
        "points": grid.to_physical(points),
        "index": grid.to_index(points),
        "low": low,
        "high": high,
        "ml": grid.voxel_ml,
    }


RECIPES: dict[str, Recipe] = {
    "hnseg.Grid": grids,
    "hnseg.images.components.bounding_box": lambda number: repr(
        components.bounding_box(mask(number) & (volume(number) > 60))
    ),
    "hnseg.images.components.connected_components": parts,
    "hnseg.images.components.match_lesions": match,
    "hnseg.images.resample.resample": sampled,
    "hnseg.images.resample.resample_label": sampled_label,
    "hnseg.inference.postprocess.apply_distance_prior": far_nodes,
    "hnseg.inference.postprocess.postprocess_label": postprocessed,
    "hnseg.inference.postprocess.remove_islands": islands,
    "hnseg.inference.tiling.cheapest_tiling": cheapest,
    "hnseg.inference.tiling.tile": tiles,
    "hnseg.preprocessing.crop.find_box.find_crop": crop,
    "hnseg.preprocessing.normalize.normalize_ct": normalized_ct,
    "hnseg.preprocessing.normalize.normalize_pet": normalized_pet,
    "hnseg.preprocessing.normalize.pad_values": padded,
    "hnseg.suv.conversion.compute_suv_conversion": suv,
}
