"""A report as files: one HTML page that needs nothing else, Markdown, and the pictures."""

import base64
import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from lstm_lm.core.atomic import write_bytes, write_text
from tools.markdown import escape
from tools.report.chart import Spec
from tools.report.figure import Figure

_TEMPLATES = Path(__file__).parent / "templates"
_SIZE = {"width": 720, "height": 320}


def write(folder: Path, template: str, name: str, figures: Mapping[str, Figure], content: Mapping[str, Any]) -> None:
    """Write `name`.html, `template`.md, and a PNG for each figure into `folder`.

    Everything in `content` and `figures` is text, and is escaped in HTML and in Markdown.
    """
    pictures = {key: _png(figure.chart) for key, figure in figures.items()}
    for key, picture in pictures.items():
        write_bytes(folder / f"{key}.png", picture)
    scripts = [(_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "panel.js")]
    script = vl_convert.javascript_bundle("\n".join(scripts))
    html = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html.policies["json.dumps_kwargs"] = {"sort_keys": False}  # scratch before concise
    markdown = html.overlay(autoescape=False, finalize=escape)
    specs = {key: figure.chart for key, figure in figures.items() if isinstance(figure.chart, dict)}
    parts = {
        "figures": figures,
        "pictures": {key: _data_url(picture) for key, picture in pictures.items()},
        "charts": {"config": _IN_PAGE, "specs": specs},
        "script": Markup(script),
        "digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    write_text(folder / f"{name}.html", html.get_template(f"{template}.html").render(**content, **parts))
    write_text(folder / f"{template}.md", markdown.get_template(f"{template}.md").render(**content, **parts))


def _png(chart: Spec | bytes) -> bytes:
    """A chart as PNG, smaller than vl-convert writes it; a picture as it is."""
    if isinstance(chart, bytes):
        return chart
    drawn, packed = vl_convert.vegalite_to_png(chart | _SIZE, scale=2, config=_ON_PAPER), BytesIO()
    Image.open(BytesIO(drawn)).convert("RGB").save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _config(ink: str, background: str, font: str) -> Spec:
    """The look of every chart."""
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    lines = {"gridColor": ink, "gridOpacity": 0.12, "domainColor": ink, "domainOpacity": 0.5, "ticks": False}
    stack = {"top": {"anchor": "start", "direction": "vertical", "margin": 4}}
    return {
        "aria": False,
        "background": background,
        "font": font,
        "view": {"stroke": None},
        "axis": {**text, **lines, "labelPadding": 6, "titlePadding": 10},
        "legend": {**text, "title": None, "orient": "top", "symbolStrokeWidth": 2.5, "offset": 10, "layout": stack},
        "text": {"fill": ink, "fontSize": 12},
        "rule": {"color": ink},
    }


_ON_PAPER = _config("#24292f", "white", "Liberation Sans, sans-serif")
# `currentColor` is the page's ink: charts follow light and dark without being drawn again.
_IN_PAGE = _config("currentColor", "transparent", "system-ui, sans-serif")
