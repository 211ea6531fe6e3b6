"""The public API is one: an argument has the same name, place, kind and default wherever it appears.

``docs/ssimh/reference.md`` shows the same as a table.
"""

import inspect
import re
from pathlib import Path

import pytest

import ssimh
from ssimh.site.alignment import apply_difference

REQUIRED = inspect.Parameter.empty
# Every argument of the public functions and transforms in the one order, with its one default.
INPUTS = (
    "keys",
    "image",
    "images",
    "sites",
    "references",
    "reference",
    "coefficients",
    "subjects",
    "shape",
    "source",
    "target",
)
DEFAULTS = {
    "prob": 0.1,
    "threshold": 3,
    "threshold_range": (1, 3),
    "in_plane_range_mm": None,
    "axial_range_mm": None,
    "mode": "slice",
    "slice_axis": -1,
    "axes": (-2, -1),
    "region": "square",
    "grid": "same",
    "center_mm": None,
    "landmark_mm": None,
    "space": "log",
    "shrink": True,
    "parts": ("field", "resolution"),
    "allow_sharpening": None,
    "axes_zyx": None,
    "tissue_window_hu": (-150.0, 150.0),
    "body_threshold_hu": -500.0,
    "mask": None,
    "masks": None,
    "reference_mask": None,
    "background": None,
    "strength": 1.0,
    "strength_range": (0.0, 1.0),
    "clip": None,
    "method": "auto",
    "spacing_mm": None,
    "orientation": None,
    "modality": "CT",
    "affine": None,
    "unit": None,
    "allow_pet": False,
    "statistic": "mean",
    "workers": None,
    "out": None,
    "warn_above_hu": 50.0,
    "allow_missing_keys": False,
}
FUNCTIONS = {
    "swap_spectrum": ssimh.swap_spectrum,
    "align_spectrum": ssimh.align_spectrum,
    "match_histogram": ssimh.match_histogram,
    "low_frequency": ssimh.low_frequency,
    "from_low_frequency": ssimh.from_low_frequency,
    "site_difference": ssimh.site_difference,
    "ReferenceSpectrum.from_image": ssimh.ReferenceSpectrum.from_image,
    "ReferenceSpectrum.from_images": ssimh.ReferenceSpectrum.from_images,
    "ReferenceSpectrum.average": ssimh.ReferenceSpectrum.average,
    "SiteSpectrum": ssimh.SiteSpectrum,
    "SiteSpectrum.fit": ssimh.SiteSpectrum.fit,
    "SiteSpectrum.from_dicts": ssimh.SiteSpectrum.from_dicts,
}
ARRAY_FORMS = ("SpectrumSwap", "RandSpectrumSwap", "RandResolution", "SpectrumAlign", "HistogramMatch")
FUNCTIONS |= {name: getattr(ssimh, name) for form in ARRAY_FORMS for name in (form, f"{form}d")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_inputs_come_first_and_have_no_default(name):
    parameters = list(inspect.signature(FUNCTIONS[name]).parameters.values())
    inputs = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert inputs == parameters[: len(inputs)]
    assert inputs
    assert all(p.name in INPUTS and p.default is REQUIRED for p in inputs)
    assert [p.name for p in inputs] == sorted((p.name for p in inputs), key=INPUTS.index)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_else_is_by_keyword_with_one_order_and_one_default(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    settings = {p.name: p.default for p in parameters.values() if p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert all(parameters[setting].kind is inspect.Parameter.KEYWORD_ONLY for setting in settings)
    assert list(settings) == [setting for setting in DEFAULTS if setting in settings]
    assert settings == {setting: DEFAULTS[setting] for setting in settings}


@pytest.mark.parametrize("form", ARRAY_FORMS)
def test_the_dictionary_form_adds_keys_and_allow_missing_keys(form):
    array = inspect.signature(getattr(ssimh, form)).parameters
    dictionary = inspect.signature(getattr(ssimh, f"{form}d")).parameters
    assert list(dictionary) == ["keys", *array, "allow_missing_keys"]
    for name, parameter in array.items():
        assert dictionary[name].default == parameter.default
        assert dictionary[name].kind == parameter.kind
    for alias in (f"{form}D", f"{form}Dict"):
        assert getattr(ssimh.transforms, alias) is getattr(ssimh, f"{form}d")


def test_a_known_difference_is_applied_as_two_sites_are():
    whole = inspect.signature(ssimh.align_spectrum).parameters
    part = inspect.signature(apply_difference).parameters
    settings = list(part)[2:]
    assert settings == [name for name in whole if name in settings]
    assert all(part[name].default == whole[name].default for name in settings)


def test_the_command_line_has_the_same_names_and_defaults():
    from ssimh.cli.app import app

    found = set()
    for command in app.registered_commands:
        assert command.callback is not None
        for name, parameter in inspect.signature(command.callback).parameters.items():
            if name not in DEFAULTS or name == "out":  # of a command a file, of a function memory
                continue
            found.add(name)
            # None is an option that was not given, so that one without effect can be refused.
            assert parameter.default in (DEFAULTS[name], None), (command.callback.__name__, name)
    assert {"threshold", "mode", "region", "statistic", "strength", "clip", "unit", "allow_pet"} <= found


def test_the_table_of_the_documentation_is_current():
    page = (Path(__file__).parents[2] / "docs" / "ssimh" / "reference.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.+) \|$", page, flags=re.MULTILINE)
    assert [row[0] for row in rows] == list(DEFAULTS)
    for setting, default, _ in rows:
        assert default == repr(DEFAULTS[setting]).replace("'", '"'), setting
    for name, function in FUNCTIONS.items():
        parameters = inspect.signature(function).parameters.values()
        inputs, settings = (
            ", ".join(p.name for p in parameters if (p.kind is inspect.Parameter.KEYWORD_ONLY) is by_keyword)
            for by_keyword in (False, True)
        )
        is_dictionary_form = name.removesuffix("d") in ARRAY_FORMS and name.endswith("d")
        assert (f"| {name} | {inputs} | {settings} |" in page) is not is_dictionary_form, name
