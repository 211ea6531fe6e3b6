"""Tables of the pages that are larger than their box say so in words."""

import pytest

from hnseg.report.page import write_report


@pytest.mark.parametrize(("width", "is_told"), [(360, True), (1900, False)])
def test_a_table_that_is_cut_says_so(scored, open_page, width, is_told):
    page = open_page(write_report(scored), size=(width, 700)).page
    hint = page.locator("#cases p.more")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    cut = "#cases .scroll"
    assert page.eval_on_selector(cut, "box => box.scrollWidth > box.clientWidth + 1") == (hint.count() == 1)
    assert is_told == (hint.count() == 1)
    if is_told:
        assert "columns to the right" in hint.text_content()
        assert page.eval_on_selector(cut, "box => box.previousElementSibling.matches('p.more')")
