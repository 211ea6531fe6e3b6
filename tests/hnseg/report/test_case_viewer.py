"""The viewer of a report: the worst cases, each lesion a link that leads to it, also of an external cohort."""

import shutil

from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.records import read_metrics
from hnseg.images.image_io import read_image, write_image
from hnseg.report.data import worst_cases
from hnseg.report.external_page import write_external_report
from hnseg.report.page import write_report
from hnseg.workdir import write_json
from tests.hnseg.report.html_page import write_validation
from tests.hnseg.workdirs import write_external


def test_a_lesion_of_the_report_leads_to_it_in_the_viewer(scored, no_pictures, open_page):
    metrics = read_metrics(scored / "metrics.json")
    worst = [case.case_id for case in worst_cases(metrics.main.cases, 2)]
    assert worst == ["BBB-001", "AAA-002"]
    ct, grid = read_image(scored / "cohort/Task 1/AAA-002/AAA-002__CT.nii.gz", "AAA-002")
    write_image(scored / "predictions/disagreement/AAA-002.nii.gz", ct * 0, grid)
    opened = open_page(write_report(scored, viewer_cases=2))
    rows = opened.page.locator("#lesions tbody tr")
    statuses = [row.split("\n")[0].split("\t") for row in rows.all_inner_texts()]
    counted = {case.case_id: (case.tp, case.fn, case.fp) for case in metrics.main.cases}
    for name in worst:
        nodes = [row[3] for row in statuses if row[0] == name and row[2] == "GTVn"]
        assert tuple(nodes.count(word) for word in ("found", "missed", "false")) == counted[name]
    missed = next(n for n, row in enumerate(statuses) if row[0] == "AAA-002" and row[3] == "missed")
    rows.nth(missed).get_by_role("link").click()
    opened.page.wait_for_selector("body[data-ready]")
    assert opened.state()["case"] == "AAA-002"
    assert (opened.value("Truth"), opened.value("Prediction")) == ("GTVn", "none")
    assert opened.page.locator("#lesions [aria-current]").inner_text().split("\t")[2] == "✗ missed"
    assert opened.page.locator("#modes button").all_text_contents()[-1] == "Disagreement"


def test_an_external_cohort_has_its_viewer_beside_its_masks(small_workdir, no_pictures):
    write_validation(small_workdir)
    evaluate_workdir(small_workdir)
    out, root = write_external(small_workdir)
    write_json(out / "metrics.json", evaluate_folder(out, find_labels(root)).as_dict())
    page = out / "report.html"
    write_external_report(small_workdir, out, viewer_cases=10)
    cases = {case.case_id for case in read_metrics(out / "metrics.json").cases}
    assert {path.stem for path in (out / "report_files").glob("*.js")} == cases
    assert page.read_text(encoding="utf-8").count("report_files/index.html#case=") >= len(cases)
    shutil.rmtree(out / "report_files")
    write_external_report(small_workdir, out)
    assert "report_files" not in page.read_text(encoding="utf-8")
