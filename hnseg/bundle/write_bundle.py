"""Export of a trained run as a MONAI Bundle."""

from __future__ import annotations

from pathlib import Path

from hnseg.bundle.attribution import UNKNOWN, Attribution
from hnseg.bundle.config_files import LOGGING, make_inference_config, make_metadata, make_page, read_license
from hnseg.cohort.splits import load_splits
from hnseg.inference.export import check_export_folder, export_models
from hnseg.inference.predict_case import InferenceOptions, open_segmenter
from hnseg.workdir import write_json, write_text
from ssimh.files.atomic import atomic_folder


def export_bundle(work: Path, folder: Path, attribution: Attribution = UNKNOWN) -> list[Path]:
    """Write trained models as a MONAI Bundle in the layout of the Model Zoo.

    The bundle is what :func:`hnseg.inference.export.export_models` writes, with the same left behind, and beside it
    ``configs``, ``docs`` and ``LICENSE``. So ``hnseg predict`` takes it for a run, too. It appears whole or not at all.
    Predicting with it needs hnseg installed.

    Args:
        work: With trained models.
        folder: New or empty.
        attribution: Authors, copyright, training data and license of the weights, for ``metadata.json`` and the page;
            what is not stated is marked there, to be stated before the bundle is shared.

    Returns:
        The models in ``folder``.

    Raises:
        OutputPathError, WorkDirError: As :func:`hnseg.inference.export.export_models`.
    """
    check_export_folder(work, folder)
    with atomic_folder(folder) as made:
        models = export_models(work, made)
        segmenter = open_segmenter(made, InferenceOptions(device="cpu"))
        write_json(made / "configs" / "metadata.json", make_metadata(segmenter, load_splits(made).digest, attribution))
        write_json(made / "configs" / "inference.json", make_inference_config())
        write_text(made / "configs" / "logging.conf", LOGGING)
        write_text(made / "docs" / "README.md", make_page(segmenter, attribution))
        write_text(made / "LICENSE", read_license())
    return [folder / path.relative_to(made) for path in models]
