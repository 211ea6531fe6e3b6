"""A trained run as a MONAI Bundle: export it, look at it, and predict a scan with MONAI's own runner.

    python examples/monai_bundle.py runs/first bundles/hn CT.nii.gz PET.nii.gz masks

Needs: pip install "ssimh[bundle]", and a run that `hnseg train` has finished.
"""

import argparse
import json
from pathlib import Path

from monai.bundle import ConfigWorkflow

from hnseg import export_bundle


def main() -> None:
    """Export unless the bundle is there, and predict one pair of CT (HU) and PET (SUV)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, text in (
        ("work", "work directory of a trained run"),
        ("bundle", "folder of the bundle, made if it is not there"),
        ("ct", "CT in HU"),
        ("pet", "PET in SUV"),
        ("masks", "folder of the mask"),
    ):
        parser.add_argument(name, type=Path, help=text)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if not given.bundle.exists():
        export_bundle(given.work, given.bundle)

    metadata = json.loads((given.bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    print(f"{metadata['name']}, hnseg {metadata['version']}: {', '.join(metadata['made_from']['models'])}")

    # The same as: python -m monai.bundle run --config_file BUNDLE/configs/inference.json --bundle_root BUNDLE --ct CT …
    workflow = ConfigWorkflow(
        config_file=str(given.bundle / "configs" / "inference.json"),
        workflow_type="inference",
        bundle_root=str(given.bundle),
        ct=str(given.ct),
        pet=str(given.pet),
        output_dir=str(given.masks),
        device=given.device,
    )
    workflow.initialize()
    [samples] = workflow.run()  # one entry for each expression of the configuration's "run"
    workflow.finalize()
    print(f"mask: {samples[0]['mask']}")

    # The parts are MONAI's: here the logits of the whole ensemble for the prepared image, by its sliding window.
    sample = workflow.preprocessing({"ct": str(given.ct), "pet": str(given.pet)})
    logits = workflow.inferer(sample["image"][None], workflow.network_def)
    print(f"logits of shape {tuple(logits.shape)} on the crop grid")


if __name__ == "__main__":
    main()
