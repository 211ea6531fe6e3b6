"""What is the alignment's own: sites from files, one-to-one, directions and masks."""

import numpy as np
import torch
import torchio as tio

import ssimh
from ssimh.torchio import SpectrumAlign
from tests.facts import raises_naming
from tests.ssimh.necks import neck
from tests.ssimh.thighs import SHARP_MM, SMOOTH_MM, SPACING_MM, thigh, thigh_site
from tests.ssimh.tolerances import assert_close
from tests.ssimh.torchio.torchio_cases import scan, site, subject
from tests.ssimh.uptakes import pet_site, uptake


def test_it_is_align_spectrum_in_the_directions_of_the_sites():
    result = SpectrumAlign(site(1.05), site(1.0))(scan(1, 1.05))
    expected = ssimh.align_spectrum(neck(1, factor=1.05), site(1.05), site(1.0))
    assert_close(result.data[0].numpy().T, expected, "float32")


def test_sites_from_files(tmp_path):
    site(1.0).save(tmp_path / "site.npz")
    scan(5).save(tmp_path / "scan.nii.gz")
    saved = SpectrumAlign(site(1.05), tmp_path / "site.npz")(scan(1, 1.05))
    assert torch.equal(saved.data, SpectrumAlign(site(1.05), site(1.0))(scan(1, 1.05)).data)
    alone = ssimh.SiteSpectrum.fit([neck(5)], orientation="SPL", spacing_mm=(3, 1.5, 1.5))
    from_image = SpectrumAlign(site(1.05), str(tmp_path / "scan.nii.gz"))(scan(1, 1.05))
    assert_close(from_image.data, SpectrumAlign(site(1.05), alone)(scan(1, 1.05)).data, "float32")
    with raises_naming(TypeError, "target", "ndarray"):
        SpectrumAlign(None, neck(1))


def test_one_to_one():
    given = tio.Subject(ct=scan(1, 1.05, torch.float64))
    result = SpectrumAlign(None, site(1.0))(given)
    own = ssimh.SiteSpectrum.fit([neck(1, factor=1.05)], orientation="SPL")
    assert_close(result["ct"].data, SpectrumAlign(own, site(1.0))(given)["ct"].data, "float32")
    assert (result.apply_inverse_transform()["ct"].data - given["ct"].data).abs().max() < 1e-6


def test_a_mask_replaces_the_body():
    given = subject(torch.float64)
    result = SpectrumAlign(site(1.05), site(1.0), mask="body", include=["ct"])(given)
    outside = given["body"].data == 0
    assert torch.equal(result["ct"].data[outside], given["ct"].data[outside])
    assert (result.apply_inverse_transform()["ct"].data - given["ct"].data).abs().max() < 1e-6
    with raises_naming(KeyError, "lesion", "body"):
        SpectrumAlign(site(1.05), site(1.0), mask="lesion")(given)
    with raises_naming(ValueError, "ct", "mask"):
        SpectrumAlign(site(1.05), site(1.0), mask=np.zeros((3, 3, 3), bool))(given)


def test_anything_but_ct_in_hu_is_refused():
    with raises_naming(ValueError, "default_image_name", "1/cm"):
        SpectrumAlign(site(1.05), site(1.0))(scan(1, unit="1/cm"))
    with raises_naming(ValueError, "space", "cube"):
        SpectrumAlign(site(1.05), site(1.0), space="cube")


def test_pet_is_matched_in_millimeters():
    sites = [pet_site(mm2, orientation="SPL") for mm2 in (5.0, 13.0)]
    values = uptake(7, 5.0, 5.0, (5.0, 4.0, 4.0)).astype(np.float32)
    image = tio.ScalarImage(tensor=torch.from_numpy(values.T[None].copy()), affine=np.diag([-4.0, -4.0, 5.0, 1.0]))
    given = tio.Subject(pet=image)
    result = SpectrumAlign(*sites)(given)
    expected = ssimh.align_spectrum(values, *sites, spacing_mm=(5.0, 4.0, 4.0))
    assert_close(result["pet"].data[0].numpy().T, expected, "float32")
    assert np.abs(expected - values).max() > 0.5
    with raises_naming(ValueError, "PET"):
        result.apply_inverse_transform()


def test_grain_is_asked_for_and_matched_in_millimeters():
    sites = thigh_site(SHARP_MM), thigh_site(SMOOTH_MM, first=20)
    affine = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])
    image = tio.ScalarImage(tensor=torch.from_numpy(thigh(7).T[None].copy()), affine=affine)
    result = SpectrumAlign(*sites, parts=("grain",))(tio.Subject(ct=image))
    expected = ssimh.align_spectrum(thigh(7), *sites, parts=("grain",), spacing_mm=SPACING_MM)
    assert_close(result["ct"].data[0].numpy().T, expected, "float32")
    with raises_naming(ValueError, "CT"):
        result.apply_inverse_transform()
    back = SpectrumAlign(*sites[::-1], parts=("grain",))(tio.Subject(ct=image))  # the source is the smoother
    assert torch.equal(back["ct"].data, image.data)
    assert torch.equal(back.apply_inverse_transform()["ct"].data, image.data)
