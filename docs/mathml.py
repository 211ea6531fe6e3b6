"""Formulas as MathML, which browsers draw themselves: no script, no font and no network.

docutils, which Sphinx stands on, translates the TeX. A formula that it cannot translate is an error of the build.
"""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math import MathError, pick_math_environment
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator


def write_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(_translate(node))
    raise nodes.SkipNode


def write_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="formula">{_translate(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _translate(node: nodes.math | nodes.math_block, *, as_block: bool = False) -> str:
    code = node.astext()
    if as_block and pick_math_environment(code).startswith("align"):  # several lines
        code = f"\\begin{{aligned}}{code}\\end{{aligned}}"
    try:
        return str(tex2mathml(code, as_block=as_block))
    except (MathError, AttributeError) as error:  # AttributeError: a row ends outside a table
        raise ExtensionError(f"{node.source}:{node.line}: {error}: {node.astext()}") from error
