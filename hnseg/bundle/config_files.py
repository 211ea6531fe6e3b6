"""Content of the bundle's files: ``metadata.json``, ``inference.json``, ``logging.conf``, the license and the page.

Keys and their meaning are those of the MONAI Bundle Specification
(https://docs.monai.io/en/stable/mb_specification.html).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from hnseg.bundle.attribution import Attribution
from hnseg.cohort.labels import LESION_CLASSES
from hnseg.inference.predict_case import Segmenter
from hnseg.models.network import CHANNELS
from hnseg.provenance import versions
from ssimh._version import __version__
from ssimh.files.json_object import JsonObject

SCHEMA_FOLDER = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1"
SCHEMA = f"{SCHEMA_FOLDER}/meta_schema_20240725.json"  # MONAI's
IN_METADATA = {"python", "monai", "torch", "numpy"}  # versions that have keys of their own, or none
LICENSE_NOTICE = "Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0\n"
NAME = "Head-and-neck tumor segmentation in FDG-PET/CT"

LOGGING = """[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""


def make_inference_config() -> JsonObject:
    """``inference.json``: the items that the specification asks for, by the full paths of their classes."""
    segmenter = {"segmenter": "@segmenter"}
    root, places = {"bundle_root": "@bundle_root"}, {"dataset_dir": "@dataset_dir"}
    return {
        "imports": ["$import pathlib"],
        "bundle_root": ".",
        "dataset_dir": ".",
        "output_dir": "",
        "device": "auto",
        "ct": "",
        "pet": "",
        "center": "",
        "cases": [{"ct": "@ct", "pet": "@pet", "center": "@center"}],
        "options": {
            "_target_": "hnseg.inference.predict_case.InferenceOptions",
            "device": "@device",
            "window": None,
            "flips": None,
            "memory_gb": None,
        },
        "segmenter": {
            "_target_": "hnseg.inference.predict_case.open_segmenter",
            "work": "$pathlib.Path(@bundle_root)",
            "options": "@options",
        },
        "network_def": {"_target_": "hnseg.bundle.fold_ensemble.FoldEnsemble", **segmenter},
        "inferer": {"_target_": "hnseg.bundle.fold_ensemble.GaussianWindowInferer", **segmenter},
        "preprocessing": {"_target_": "hnseg.bundle.transforms.PrepareCased", **root, **segmenter, **places},
        "dataset": {"_target_": "monai.data.Dataset", "data": "@cases", "transform": "@preprocessing"},
        "postprocessing": {"_target_": "hnseg.bundle.transforms.RestoreMaskd", **segmenter},
        "save": {
            "_target_": "hnseg.bundle.transforms.SaveMaskd",
            **root,
            **segmenter,
            "output_dir": "@output_dir",
            **places,
        },
        "evaluator": {
            "_target_": "hnseg.bundle.case_evaluator.CaseEvaluator",
            "dataset": "@dataset",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "save": "@save",
        },
        "run": ["$@evaluator.run()"],
    }


def make_metadata(segmenter: Segmenter, split: str, attribution: Attribution) -> JsonObject:
    """``metadata.json``.

    Args:
        segmenter: Opened on the exported models.
        split: Digest of the split that they were trained on.
        attribution: What the exporter states.
    """
    known = versions()
    classes = {"0": "background", **{str(kind.value): kind.name for kind in LESION_CLASSES}}
    return {
        "schema": SCHEMA,
        "version": __version__,
        "changelog": {__version__: "as exported by hnseg"},
        "monai_version": known["monai"],
        "pytorch_version": known["torch"],
        "numpy_version": known["numpy"],
        "required_packages_version": {name: value for name, value in known.items() if name not in IN_METADATA},
        "name": NAME,
        "task": "Segmentation of primary tumors (GTVp) and lymph nodes (GTVn) of the head and neck in FDG-PET/CT",
        "description": (
            f"Mean of {len(segmenter.models)} SegResNets, one for each fold of a cross-validation, on a harmonized CT "
            "and a PET in SUV. The package hnseg (pip install 'ssimh[bundle]') has to be installed."
        ),
        "authors": attribution.text("authors"),
        "copyright": attribution.text("copyright"),
        "weights_license": attribution.text("license"),
        "data_source": attribution.text("data_source"),
        "data_type": "NIfTI, or what else ITK reads: CT in HU, PET in SUV",
        "image_classes": "CT and PET on the crop grid, normalized by hnseg",
        "label_classes": "1 GTVp, 2 GTVn on the CT grid",
        "pred_classes": "3 channels of logits: background, GTVp, GTVn",
        "intended_use": "research; not a medical device",
        "references": ["Head-and-Neck PET/CT Lesion Segmentation via SSIMH and SegResNet (Huang, Cheng, Yu, Zhu)"],
        "network_data_format": _network_data_format(segmenter, classes),
        "made_from": {**segmenter.key, "preparation": dict(segmenter.preparation), "split": split, "versions": known},
    }


def _network_data_format(segmenter: Segmenter, classes: Mapping[str, str]) -> JsonObject:
    config = segmenter.config
    bounded = [0, 1] if config.prepare.sigmoid else []
    common = {"spatial_shape": list(config.train.patch_zyx), "dtype": "float32", "is_patch_data": True}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "CT, PET",
        "num_channels": CHANNELS,
        **common,
        "value_range": bounded,
        "channel_def": {"0": "CT", "1": "PET"},
    }
    pred = {
        "type": "image",
        "format": "labels",
        "modality": "n/a",
        "num_channels": len(classes),
        **common,
        "value_range": [],
        "channel_def": dict(classes),
    }
    return {"inputs": {"image": image}, "outputs": {"pred": pred}}


def read_license() -> str:
    """The license of hnseg as it was installed; where the installation left it out, the notice that names it."""
    package = importlib.metadata.distribution("ssimh")
    return package.read_text("licenses/LICENSE") or package.read_text("LICENSE") or LICENSE_NOTICE


def make_page(segmenter: Segmenter, attribution: Attribution) -> str:
    """``docs/README.md``."""
    config = segmenter.config
    return f"""# {NAME}

{len(segmenter.models)} networks of a cross-validation, trained and exported by `hnseg` {__version__}. They segment
primary tumors (GTVp, 1) and lymph nodes (GTVn, 2) in a CT in HU and a PET in SUV of the head and neck. Research only;
not a medical device.

## Run

```console
$ pip install "ssimh[bundle]=={__version__}"
$ cd THIS_FOLDER
$ python -m monai.bundle run --config_file configs/inference.json \\
    --ct /data/CT.nii.gz --pet /data/PET.nii.gz --output_dir /data/masks
```

writes `/data/masks/CT.nii.gz` on the CT grid, and `CT.json`, which names what the mask was made from. The mask is the
one of `hnseg predict THIS_FOLDER --ct … --pet … --mask …`, which takes this folder, too. From another folder add
`--bundle_root THIS_FOLDER`.

| item | what it does |
|---|---|
| `--cases` | samples `{{"ct": …, "pet": …}}` in place of `--ct` and `--pet`; `id` names the mask, `center` the center |
| `--dataset_dir` | folder of relative paths of CT and PET |
| `--center` | a center of the training cases, for `spectrum-align` (here: `{config.prepare.harmonization}`) |
| `--device` | `auto`, `cpu`, `cuda`, `cuda:<n>` or `mps` |
| `--options#window`, `--options#flips` | as `--window` and `--flips` of `hnseg predict` |

## What lies here

- `configs/`: `inference.json`, `logging.conf`, and `metadata.json`, whose `made_from` names models, settings, split and
  versions.
- `models/fold_<k>/best.pt`: the weights, one file for each fold, with what it was trained on. The specification's
  single `models/model.pt` does not exist; `torch.save(network.state_dict(), "models/model.pt")` makes it of the
  `network_def` in `inference.json`.
- `config.yaml`, `run.json`, `splits.json`, `check.json` and the data of the harmonization: what `hnseg export` keeps.

No images, paths, names or dates of patients' files are in this folder; case IDs are. With `histogram-match` the
reference subject's cropped CT is part of the harmonization, and of this folder.

## Authors and licenses

- Authors: {attribution.text("authors")}
- Copyright: {attribution.text("copyright")}
- License of the weights: {attribution.text("license")}
- Training data: {attribution.text("data_source")}

`LICENSE` is that of the code and of the files in `configs/`. The license of the weights is up to whoever trained them,
and to the terms of the training data. `configs/metadata.json` says the same.
"""
