"""The page of a benchmark: one HTML file with its pictures in it, which asks for nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site_benchmark.features import TITLES
from ssimh.site_benchmark.nearest_site import SHUFFLES, NearestSite
from ssimh.site_benchmark.numbers import OF_PAIRS, OF_SCANS
from ssimh.site_benchmark.plots import SPECTRUM_LABELS, draw_numbers, draw_spectra
from ssimh.site_benchmark.records import BenchmarkResult, PairResult, PartResult

PAGE_START = '<!doctype html><html lang="en"><meta charset="utf-8"><title>What tells sites apart</title>'
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: .8rem 0 } th, td { padding: .3rem .7rem; text-align: right }
td { white-space: nowrap } .t { text-align: left } thead { border-bottom: 2px solid #777 }
tbody tr:nth-child(even) { background: #f3f3f3 } .scroll { overflow-x: auto } img { max-width: 100%; height: auto }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere } h2 { margin-top: 2.2rem } .soft { color: #555 }
.note { background: #fff6dd; border-left: 4px solid #c90; padding: .4rem .8rem; overflow-wrap: anywhere }
.failed { background: #fdecea; border-left-color: #b3261e } figure { margin: 1rem 0 } figcaption { color: #555 }
code { overflow-wrap: anywhere }
"""
_EXPLAINED = {
    "field": "The smooth error of HU in soft tissue: gain, offset, cupping. Distances are root mean squares.",
    "grain": "Noise and texture that the reconstruction kernel leaves in soft tissue, in plane, by frequency.",
    "resolution": "Width of the scanner's blur, in plane and axial. A width alone rests on the shape of anatomy and "
    "can be off by a millimeter; differences between sites do not.",
    "spectrum": "Resolution, noise and anatomy together, over all frequencies. Noise is not aligned: sites that "
    "differ in it stay apart here.",
}
_NEAREST = ("what is compared", "before", "after", "shuffled", "others are brought to")
_KINDS = {"CT": "CT", "PT": "PET"}


def format_page(result: BenchmarkResult, before: Mapping[str, SiteSpectrum], after: Mapping[str, SiteSpectrum]) -> str:
    """The page; every text in it is escaped.

    Args:
        result: what was found.
        before, after: the sites by name.
    """
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in result.notes)
    failed = "".join(
        f'<p class="note failed"><strong>{escape(key)}</strong>: {escape(message)}</p>'
        for key, message in sorted(result.failed.items())
    )
    parts = "".join(_format_part(part, result, before, after) for part in result.parts)
    return f"""{PAGE_START}<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>
<main><h1>What tells {len(result.sites)} sites of {_KINDS[result.modality]} apart</h1>
<p>{len(result.scans)} scans in <code>{escape(result.folder)}</code>, before and after alignment
(<code>ssimh align</code>). Each scan is aligned by the estimate of its own site <em>without</em> it. Scans of the
target site, and of a site of one scan, stay as they are.</p>
{failed}{notes}
<h2>Nearest site</h2>
<p>For each scan, the site whose mean is nearest, its own mean taken without the scan. The share that is named rightly
is the mean over the sites. “Shuffled” is what the same count gives when the names of the sites are shuffled
{SHUFFLES} times (mean; 95 % lie below the number in brackets): sites cannot be told apart where “after” is no
higher.</p>
{_format_table(_NEAREST, map(_nearest_row, result.parts))}
{parts}
{_format_examples(result)}
{_format_scans(result)}
{_format_making(result)}</main></html>
"""


def _nearest_row(part: PartResult) -> list[str]:
    target = part.target or "–"
    return [TITLES[part.part], _share(part.before), _share(part.after), _chance(part.before), target]


def _share(found: NearestSite) -> str:
    return "not judged" if found.accuracy is None else f"{found.accuracy:.0%} ({found.correct} of {found.judged})"


def _chance(found: NearestSite) -> str:
    return "–" if found.chance is None else f"{found.chance:.0%} ({found.chance_high:.0%})"


def _format_part(
    part: PartResult, result: BenchmarkResult, before: Mapping[str, SiteSpectrum], after: Mapping[str, SiteSpectrum]
) -> str:
    pieces = [f"<h2>{escape(TITLES[part.part])}</h2><p>{escape(_EXPLAINED[part.part])}</p>"]
    for name, number in OF_SCANS.items():
        picture = draw_numbers(name, result.scans, result.sites) if number.part == part.part else None
        if picture is not None:
            lost = sum(scan.before.get(name) is None or scan.after.get(name) is None for scan in result.scans)
            left_out = f"; {lost} scan(s) in which it could not be measured are left out" if lost else ""
            caption = f"{number.title}, each scan, before and after; lines: means of the sites{left_out}"
            pieces.append(_figure(picture, caption))
    if part.part in SPECTRUM_LABELS:
        picture = draw_spectra(part.part, before, after)
        if picture is not None:
            pieces.append(_figure(picture, f"{TITLES[part.part]}: mean of each site, before and after"))
    for name, number in OF_PAIRS.items():
        pairs = [pair for pair in result.pairs if pair.name == name and number.part == part.part]
        if pairs:
            heading = ("first site", "second site", "before ± standard error", "applied", "after ± standard error")
            pieces.append(f"<h3>{escape(number.title)}: differences</h3>")
            pieces.append(_format_table(heading, (_pair_row(pair, number.digits) for pair in pairs), texts=2))
    return "".join(pieces)


def _pair_row(pair: PairResult, digits: int) -> list[str]:
    def text(value: float) -> str:
        return f"{value:.{digits}f}".replace("-", "−")

    return [
        pair.first,
        pair.second,
        f"{text(pair.before)} ± {text(pair.before_error)}",
        text(pair.applied),
        f"{text(pair.after)} ± {text(pair.after_error)}",
    ]


def _format_examples(result: BenchmarkResult) -> str:
    if not result.pictures:
        return ""
    figures = (_figure(picture, f"{key}: before, after, and the change") for key, picture in result.pictures.items())
    return f"<h2>Examples</h2>{''.join(figures)}"


def _format_scans(result: BenchmarkResult) -> str:
    names = [name for name in OF_SCANS if any(name in scan.before for scan in result.scans)]
    heading = ["scan", "voxels z × y × x", "mm z × y × x"]
    for name in names:
        heading += [f"{OF_SCANS[name].title}, before", "after"]
    rows = []
    for scan in result.scans:
        row = [
            f"{scan.site}/{scan.name}",
            " × ".join(map(str, scan.shape)),
            " × ".join(f"{s:.3g}" for s in scan.spacing_mm),
        ]
        for name in names:
            for values in (scan.before, scan.after):
                value = values.get(name)
                row.append("–" if value is None else f"{value:.{OF_SCANS[name].digits}f}".replace("-", "−"))
        rows.append(row)
    return f"<h2>Scans</h2>{_format_table(heading, rows)}"


def _format_making(result: BenchmarkResult) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f'<h2>How it was made</h2><p class="soft">{escape(versions)}. Modality {escape(result.modality)}. Inputs with '
        "voxel sizes and SHA-256, all numbers and settings are in <code>benchmark.json</code> beside this page.</p>"
    )


def _figure(address: str, text: str) -> str:
    return f'<figure><img src="{escape(address)}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'


def _format_table(heading: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table whose first columns are texts and the others numbers."""

    def cells(opening: str, closing: str, row: Sequence[str]) -> str:
        kinds = (' class="t"' if place < texts else "" for place in range(len(row)))
        return "".join(f"<{opening}{kind}>{escape(cell)}</{closing}>" for kind, cell in zip(kinds, row, strict=True))

    head = cells('th scope="col"', "th", heading)
    body = "".join(f"<tr>{cells('td', 'td', row)}</tr>" for row in rows)
    return (
        '<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
