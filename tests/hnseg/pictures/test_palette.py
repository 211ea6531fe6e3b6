"""One palette: a color has one meaning, and readers with any color vision tell apart what stands in one picture."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import hnseg
from hnseg.check.page import write_check_page
from hnseg.check.picture import STYLES
from hnseg.cohort.checked_cohort import SEVERITIES, CohortCheck
from hnseg.evaluation.evaluate import evaluate_workdir
from hnseg.pictures.palette import FOLD_COLORS, LESION_COLORS, Color, css_variables
from hnseg.report.page import write_report

PACKAGE = Path(hnseg.__file__).parent
HEX = re.compile(r"(?<![&\w])#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})\b|\brgba?\(")
# Linear RGB seen without one kind of cone: Machado et al. 2009, doi 10.1109/TVCG.2009.113, severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def lab(color: str, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of a color as it is seen with a kind of vision."""
    srgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.asarray(VISION[vision]) @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def variables(page: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", page))


def test_every_meaning_has_a_color_of_its_own():
    assert len({color.value.lower() for color in Color}) == len(Color.__members__)
    assert all(re.fullmatch(r"#[0-9a-f]{6}([0-9a-f]{2})?", color) for color in Color)
    assert {"TRUTH", "PREDICTION", "GTVP", "GTVN", "DISAGREEMENT", "CENTER"} <= set(Color.__members__)
    assert {name.upper() for name in SEVERITIES} <= set(Color.__members__)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    "together",
    [
        (Color.TRUTH, Color.PREDICTION),
        (Color.TRUTH, Color.PREDICTION, Color.DARK, Color.PAPER),
        (Color.GTVP, Color.GTVN),
        (Color.PREDICTION, Color.THRESHOLD_BASELINE, Color.EMPTY_BASELINE),
        (Color.TRAINING_CASES, Color.TEST_CASES, Color.EXTERNAL_CASES),
        (Color.TEST_CASES, Color.CENTER),
        (Color.GTVP, Color.GTVN, Color.DARK, Color.PAPER),
        (Color.PREPROCESSING_STAGE, Color.TRAINING_STAGE, Color.INFERENCE_STAGE),
        FOLD_COLORS,
    ],
    ids=lambda group: "-".join(color.name for color in group[:3]).lower(),
)
def test_what_stands_together_is_told_apart(vision, together):
    for a, b in itertools.combinations(together, 2):
        # 2.3 is just noticeable side by side; thin lines and small points want several times that
        assert np.linalg.norm(lab(a, vision) - lab(b, vision)) > 12, (a.name, b.name)


def test_no_color_is_named_outside_of_the_palette():
    found = []
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".css", ".j2", ".js", ".html") and path.name != "palette.py":
            lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
            found += [f"{path.relative_to(PACKAGE)}:{number}" for number, line in lines if HEX.search(line)]
    assert found == []


def test_every_variable_of_the_pages_is_in_the_palette():
    known = set(variables(css_variables()))
    assert known == {name.lower().replace("_", "-") for name in Color.__members__}
    for path in (PACKAGE / "pictures" / "templates").iterdir():
        assert set(re.findall(r"var\(--([\w-]+)\)", path.read_text(encoding="utf-8"))) <= known, path


def test_both_pages_mean_the_same_by_a_color(small_workdir):
    evaluate_workdir(small_workdir)
    report = write_report(small_workdir).read_text(encoding="utf-8")
    write_check_page(CohortCheck((), ()), {}, small_workdir, small_workdir / "check.html")
    check = (small_workdir / "check.html").read_text(encoding="utf-8")
    assert (
        variables(report) == variables(check) == {n.lower().replace("_", "-"): c for n, c in Color.__members__.items()}
    )
    line = r'stroke: var\(--([\w-]+)\)" stroke-dasharray="([^"]+)"/></svg>(\w+ \w+|\w+)'
    legends = [re.findall(line, page) for page in (report, check)]
    assert [(color, name) for color, _, name in legends[0]] == [
        (mask, f"{mask} {lesion}") for mask in ("truth", "prediction") for lesion in ("GTVp", "GTVn")
    ]
    assert [(color, name) for color, _, name in legends[1]] == [
        ("crop-box", "crop box"),
        ("gtvp", "GTVp"),
        ("gtvn", "GTVn"),
    ]
    assert len({dash for _, dash, _ in legends[0]}) == 4  # no two lines differ by color alone
    assert len({dash for _, dash, _ in legends[1]}) == 2
    assert [color for color, _ in STYLES.values()] == list(LESION_COLORS.values()) == [Color.GTVP, Color.GTVN]
