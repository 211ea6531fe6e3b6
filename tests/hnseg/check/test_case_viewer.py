"""The viewer of the check: the worst cases, with label and crop box, and links that lead there."""

from typer.testing import CliRunner

from hnseg.check.check_cohort import check_cohort
from hnseg.cli.commands import app
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.open_run import begin_run
from hnseg.settings.config import Config

CONFIG = Config.from_preset("demo")


def test_a_link_of_the_page_shows_the_case_with_its_box(make_case, tmp_path, open_page):
    root = make_case("ONE-001")
    make_case("ONE-002")
    work = tmp_path / "work"
    discover_cases(root)[1].label.unlink()
    check_cohort(root, CONFIG.prepare, work=work, viewer_cases=5)
    opened = open_page(work / "check.html")
    opened.page.get_by_role("link", name="Look at ONE-001 in the viewer").click()
    opened.page.wait_for_selector("body[data-ready]")
    assert opened.state()["case"] == "ONE-001"
    assert [opened.value(name) for name in ("CT", "PET", "Crop box", "Mask")] == ["40 HU", "8.00 SUV", "inside", "GTVp"]
    opened.page.get_by_label("Case", exact=True).select_option("ONE-002")
    opened.page.wait_for_selector("body[data-ready]")
    assert opened.page.locator("#lesions").is_hidden()  # there is no label
    opened.page.get_by_role("link", name="Back to the page").click()
    assert opened.page.title() == "Input check"


def test_the_command_shows_as_many_cases_as_it_is_told(make_case, tmp_path):
    root = make_case("ONE-001")
    make_case("ONE-002")
    discover_cases(root)[1].pet.unlink()
    work = tmp_path / "work"
    begin_run(work, CONFIG, root)
    for number, cases in (("1", ["ONE-002"]), ("0", []), ("2", ["ONE-001", "ONE-002"])):
        CliRunner().invoke(app, ["check", str(work), "--viewer", number])
        assert sorted(path.stem for path in (work / "check_files").glob("*.js")) == cases
