"""Pages checked with axe-core: no serious and no critical finding, on a desktop and on a phone.

``npm pack axe-core`` gives the checker; the environment variable ``SSIMH_AXE`` names its file ``axe.min.js``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnseg.check.check_cohort import check_cohort
from hnseg.report.page import write_report
from hnseg.report.view_page import write_view
from hnseg.settings.config import Config
from tests.browser import DESKTOP, PHONE
from tests.ssimh.cli.commands import succeed

AXE = os.environ.get("SSIMH_AXE")
RUN = """async () => (await axe.run()).violations.filter(each => ["serious", "critical"].includes(each.impact))
  .map(each => `${each.impact}: ${each.id}: ${each.nodes.map(node => node.html.slice(0, 160)).join(" | ")}`)"""

pytestmark = pytest.mark.skipif(AXE is None, reason="SSIMH_AXE does not name axe.min.js")


def check(open_page, path, wait=None):
    """Open a page in two sizes and check it."""
    for size in (DESKTOP, PHONE):
        opened = open_page(path, size=size, touch=size == PHONE)
        if wait:
            opened.page.wait_for_selector(wait)
        opened.page.evaluate("() => { for (const fold of document.querySelectorAll('details')) fold.open = true }")
        opened.page.add_script_tag(path=AXE)
        assert opened.page.evaluate(RUN) == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_report_and_its_viewer(scored, open_page):
    path = write_report(scored, viewer_cases=3)
    check(open_page, path)
    check(open_page, path.with_name("report_files") / "index.html", "body[data-ready]")


def test_the_check_and_its_viewer(make_case, tmp_path, open_page):
    root = make_case("ONE-001")
    make_case("ONE-002")
    check_cohort(root, Config.from_preset("demo").prepare, work=tmp_path / "work", viewer_cases=2)
    check(open_page, tmp_path / "work" / "check.html")
    check(open_page, tmp_path / "work" / "check_files" / "index.html", "body[data-ready]")


def test_a_page_of_one_case(make_case, tmp_path, open_page):
    folder: Path = make_case("ONE-001") / "Task 1" / "ONE-001"
    files = [folder / f"ONE-001{end}.nii.gz" for end in ("__CT", "__PT", "")]
    page = write_view(*files, tmp_path / "view.html", prediction=files[2])
    check(open_page, page, "body[data-ready]")


def test_the_report_of_ssimh(make_case, tmp_path, open_page):
    folder = make_case("ONE-001") / "Task 1" / "ONE-001"
    ct = folder / "ONE-001__CT.nii.gz"
    succeed("fit", ct, "--out", tmp_path / "ref.npz", "--unit", "HU")
    succeed("apply", ct, "--reference", tmp_path / "ref.npz", "--out", tmp_path / "out")
    succeed("report", tmp_path / "out")
    check(open_page, tmp_path / "out" / "report.html")
    check(open_page, tmp_path / "out" / "report_files" / "index.html", "body[data-ready]")
