"""Export of a trained run as a MONAI Bundle."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hnseg.bundle.config_files import LOGGING, make_inference_config, make_metadata, make_page, read_license
from hnseg.cohort.splits import load_splits
from hnseg.inference.export import check_export_folder, export_models
from hnseg.inference.predict_case import InferenceOptions, open_segmenter
from hnseg.workdir import write_json, write_text


def export_bundle(work: Path, folder: Path) -> list[Path]:
    """Write trained models as a MONAI Bundle in the layout of the Model Zoo.

    The bundle is what :func:`hnseg.inference.export.export_models` writes, with the same left behind, and beside it
    ``configs``, ``docs`` and ``LICENSE``. So ``hnseg predict`` takes it for a run, too. It appears whole or not at all.
    Predicting with it needs hnseg installed.

    Args:
        work: With trained models.
        folder: New or empty.

    Returns:
        The models in ``folder``.

    Raises:
        OutputPathError, WorkDirError: As :func:`hnseg.inference.export.export_models`.
    """
    check_export_folder(work, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        made = scratch / "bundle"  # mkdtemp's own folder is private
        models = export_models(work, made)
        segmenter = open_segmenter(made, InferenceOptions(device="cpu"))
        write_json(made / "configs" / "metadata.json", make_metadata(segmenter, load_splits(made).digest))
        write_json(made / "configs" / "inference.json", make_inference_config())
        write_text(made / "configs" / "logging.conf", LOGGING)
        write_text(made / "docs" / "README.md", make_page(segmenter))
        write_text(made / "LICENSE", read_license())
        if folder.exists():
            folder.rmdir()  # empty; other systems than POSIX replace no folder
        made.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [folder / path.relative_to(made) for path in models]
