"""The viewer of ``ssimh report``: before, after and the change of the scans that changed most."""

import numpy as np

from tests.ssimh.cli.commands import read, succeed, write


def test_a_link_of_the_report_shows_what_changed(tmp_path, open_page):
    rng = np.random.default_rng(0)
    scan, donor = (rng.normal(shift, 60, (6, 24, 22)).astype(np.int16) for shift in (0, 40))
    write(tmp_path / "scans/<b>.nii.gz", scan, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1))
    write(tmp_path / "scans/gone.nii.gz", scan + 1)
    write(tmp_path / "donor.nii.gz", donor, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1))
    succeed("fit", tmp_path / "donor.nii.gz", "--out", tmp_path / "ref.npz", "--unit", "HU")
    out = tmp_path / "out"
    succeed("apply", tmp_path / "scans", "--reference", tmp_path / "ref.npz", "--out", out, "--no-figures")
    (tmp_path / "scans/gone.nii.gz").unlink()
    succeed("report", out)
    opened = open_page(out / "report.html")
    assert "is not there, or is another one now" in opened.page.locator("body").inner_text()
    opened.page.get_by_role("link", name="Look at <b>.nii.gz in the viewer").click()
    opened.page.wait_for_selector("body[data-ready]")
    opened.page.get_by_role("button", name="Change", exact=True).click()
    i, j, k = map(int, opened.value("Voxel of Before (i, j, k)").split(", "))
    after = read(out / "<b>.nii.gz")
    assert opened.value("Before") == f"{scan[k, j, i]} HU".replace("-", "−")
    assert opened.value("After") == f"{after[k, j, i]} HU".replace("-", "−")
    change = float(opened.value("After − before").removesuffix(" HU").replace("−", "-"))
    assert change == after[k, j, i] - scan[k, j, i] != 0
    succeed("report", out, "--viewer", "0")
    assert not (out / "report_files").exists()
    assert "report_files" not in (out / "report.html").read_text(encoding="utf-8")
