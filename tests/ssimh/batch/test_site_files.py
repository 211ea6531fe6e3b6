"""Sites of files, in the directions of the body."""

import numpy as np
import pytest

from ssimh import SiteSpectrum
from ssimh.batch.site_files import SiteAlignment, find_axes, fit_site
from ssimh.images.scan import ScanError, read_scan
from tests.ssimh.cli.commands import write
from tests.ssimh.necks import neck


def test_a_site_does_not_depend_on_how_a_scan_is_stored(tmp_path):
    straight = write(tmp_path / "a.nii.gz", neck(0), spacing=(4, 4, 3))
    turned = write(tmp_path / "b.nii.gz", neck(0)[:, ::-1], spacing=(4, 4, 3), direction=(1, 0, 0, 0, -1, 0, 0, 0, 1))
    assert find_axes(read_scan(turned)) == ((-3, -2, -1), (-2,))
    np.testing.assert_allclose(fit_site([straight]).coefficients(), fit_site([turned]).coefficients(), atol=1e-9)


def test_what_is_no_ct_volume_is_refused(tmp_path):
    flat = write(tmp_path / "flat.nrrd", neck(0)[5])
    pet = write(tmp_path / "pet.nrrd", neck(0), metadata={"unit": "SUV"})
    for path in (flat, pet):
        with pytest.raises(ScanError) as caught:
            fit_site([path])
        assert path.name in str(caught.value)
    with pytest.raises(ScanError):
        fit_site([])


def test_sites_fitted_in_other_ways_are_refused_before_any_scan_is_read():
    one = SiteSpectrum.fit([neck(0)], tissue_window_hu=(-150, 150))
    other = SiteSpectrum.fit([neck(1)], tissue_window_hu=(-140, 150))
    with pytest.raises(ValueError, match="tissue"):
        SiteAlignment(one, other)
    for settings in ({"strength": 2.0}, {"clip": (1.0, 0.0)}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            SiteAlignment(one, one, **settings)


def test_the_recipe_names_both_sites_in_their_order():
    one, other = SiteSpectrum.fit([neck(0)]), SiteSpectrum.fit([neck(1)])
    there, back = SiteAlignment(one, other).recipe, SiteAlignment(other, one).recipe
    assert (there.reference["source"], there.reference["target"]) == (one.content_hash, other.content_hash)
    assert there.key() != back.key()
