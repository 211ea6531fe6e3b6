"""A page as a browser reads it, and the masks that its validation needs."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects what a page refers to, its text by section, and whether its elements are closed."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.open, self.words, self.images = [], set(), [], [], 0
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("src", "href") if found.get(name)]
        self.ids |= {found["id"]} if "id" in found else set()
        self.images += tag == "img"
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            assert found["alt"]
            assert int(found["width"]) > 0
            assert int(found["height"]) > 0

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def write_validation(work):
    """Out-of-fold masks of the training cases: the truth, but for one of which nothing was predicted."""
    folder = work / "out_of_fold"
    folder.mkdir()
    cases = ["AAA-004", "BBB-003", "BBB-004", "CCC-001"]
    for case_id in cases:
        shutil.copy(work / f"cohort/Task 1/{case_id}/{case_id}.nii.gz", folder)
    shutil.copy(work / "baselines/empty/AAA-001.nii.gz", folder / "CCC-001.nii.gz")
    (folder / "cases.json").write_text(json.dumps({"cases": cases}))
