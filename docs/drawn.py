"""The directive ``drawn``: a picture of ``docs/pictures`` in both color schemes, with alternative text and caption.

:::{drawn} harmonize
---
alt: >-
  What a person who cannot see the picture has to know.
---
The caption.
:::
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from scheme import SCHEMES
from write_pictures import PICTURES, picture_path

DOCS = Path(__file__).parent


class Drawn(Directive):
    """Insert a picture; the theme shows the one of the two files that fits the page's scheme."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict] = {"alt": directives.unchanged_required, "class": directives.class_option}

    def run(self) -> list[nodes.Node]:
        """A figure with one image for each scheme."""
        (name,) = self.arguments
        if name not in PICTURES:
            raise self.error(f"docs/pictures draws no picture {name!r}; it draws {', '.join(PICTURES)}")
        if not self.options.get("alt"):
            raise self.error(f"the picture {name!r} has no alternative text: add an option :alt:")
        figure = nodes.figure(classes=["drawn", *self.options.get("class", [])])
        for scheme in SCHEMES:
            uri = f"/{picture_path(name, scheme).relative_to(DOCS).as_posix()}"
            figure += nodes.image(uri=uri, alt=self.options["alt"], classes=[f"only-{scheme.name}"])
        if self.content:
            caption = nodes.caption()
            parsed = nodes.Element()
            self.state.nested_parse(self.content, self.content_offset, parsed)
            caption += [child for paragraph in parsed.children for child in paragraph.children]
            figure += caption
        return [figure]
