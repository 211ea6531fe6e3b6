"""The loop over the cases of a bundle: ``evaluator``.

MONAI's ``SupervisedEvaluator`` collates samples into batches and needs Ignite. Here every case has its own grid and is
read, predicted and written before the next one is read, so a loop is all there is.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import torch
from monai.data import Dataset

from hnseg.bundle.fold_ensemble import GaussianWindowInferer
from hnseg.bundle.transforms import RestoreMaskd, Sample, SaveMaskd
from hnseg.errors import HnsegError

_LOG = logging.getLogger(__name__)


class CaseEvaluator:
    """Predicts the samples of a dataset one after the other.

    Args:
        dataset: Samples of :class:`hnseg.bundle.transforms.PrepareCased`.
        network: Logits of a window.
        inferer: Logits of a case by ``network``.
        postprocessing: From the logits to the mask.
        save: Writes the mask.
    """

    def __init__(
        self,
        dataset: Dataset,
        network: torch.nn.Module,
        inferer: GaussianWindowInferer,
        postprocessing: RestoreMaskd,
        save: SaveMaskd,
    ) -> None:
        self.dataset, self.network, self.inferer = dataset, network, inferer
        self.postprocessing, self.save = postprocessing, save

    def run(self) -> list[Sample]:
        """Predict all samples; one that cannot be prepared ends the run with its error.

        Returns:
            The samples with ``mask``, the path of the written file.
        """
        self.save.check_outputs(cast(Any, self.dataset.data))
        done = []
        for number in range(len(self.dataset)):
            sample = self._prepare(number)
            logits = self.inferer(sample.pop("image")[None], self.network)[0]
            written = self.save(self.postprocessing({**sample, "pred": logits}))
            _LOG.info("%d of %d: %s", number + 1, len(self.dataset), written["mask"])
            del written["pred"], written["segmentation"]  # the volumes of all cases would not fit
            done.append(written)
        return done

    def _prepare(self, number: int) -> Sample:
        try:
            return dict(self.dataset[number])
        except RuntimeError as error:  # MONAI's around the error of a transform
            if isinstance(error.__cause__, HnsegError):
                raise error.__cause__ from None
            raise
