"""The report's charts: Vega-Lite, drawn here to PNG and SVG and in the page by the same library."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lstm_lm.comparison.plots import COLOURS, LABELS

Spec = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_WINDOWS = ["train", "held-out", "test"]
_MODEL = {
    "field": "model",
    "type": "nominal",
    "scale": {"domain": list(LABELS.values()), "range": list(COLOURS.values())},
}
_DASHES = {"symbolType": "stroke", "symbolStrokeColor": "#888888", "symbolFillColor": "transparent", "labelLimit": 600}


class Series(NamedTuple):
    """One line of a chart: (epoch, value) points of a model in a window ("" for none), here or at the base."""

    model: str
    window: str
    base: bool
    points: list[tuple[int, float]]

    @property
    def title(self) -> str:
        """How legends, tooltips and tables name it."""
        return ", ".join(filter(None, (LABELS[self.model], self.window))) + (" (base)" if self.base else "")


def learning_curves(series: Sequence[Series]) -> Spec:
    """Perplexity over epochs: a colour for each model, held-out dashed, the base faint."""
    dash = {"field": "window", "type": "nominal", "scale": {"domain": _WINDOWS[:2], "range": [[1, 0], [5, 4]]}}
    return _lines(series, _perplexity(), {"strokeDash": {**dash, "legend": _DASHES}})


def throughput(series: Sequence[Series]) -> Spec:
    """Tokens per second over epochs, from zero."""
    return _lines(series, {"title": "tokens per second", "axis": {"format": ",d", "tickCount": 6}}, {})


def generalisation(points: Sequence[Spec], unigram_perplexity: float) -> Spec:
    """Perplexity in each window (points: model, window, base, perplexity), the base hollow."""
    place: Spec = {
        "x": {"field": "window", "type": "nominal", "sort": _WINDOWS, "title": None, "axis": {"labelAngle": 0}},
        "xOffset": {"field": "model", "sort": list(LABELS.values())},
        "y": {"field": "perplexity", "type": "quantitative", **_perplexity(24)},
    }
    tooltip = [{"field": "model"}, {"field": "window"}, {"field": "perplexity", "format": ".4f"}]
    dots = [
        {
            "transform": [{"filter": {"field": "base", "equal": base}}],
            "mark": {"type": "point", "filled": not base, "size": 110, "strokeWidth": 2, "opacity": 1},
            "encoding": {**place, "color": _MODEL, "tooltip": tooltip},
        }
        for base in (True, False)
    ]
    numbers = {
        "transform": [{"filter": "!datum.base"}],
        "mark": {"type": "text", "baseline": "bottom", "dy": -9},
        "encoding": {**place, "text": {"field": "perplexity", "format": ".2f"}},
    }
    line = {
        "data": {"values": [{"perplexity": unigram_perplexity, "text": "token frequencies alone"}]},
        "encoding": {"y": place["y"]},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [2, 3], "opacity": 0.7}},
            {
                "mark": {"type": "text", "align": "left", "dy": -8, "x": 4},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }
    return {"$schema": _SCHEMA, "data": {"values": list(points)}, "layer": [line, *dots, numbers]}


def sweep(points: Sequence[Spec], parameter: str, values: Sequence[Any], settings: Sequence[str]) -> Spec:
    """Perplexity against a parameter: mean as line and point, lowest to highest seed as a bar.

    Args:
        points: of one window: model, setting, value, mean, lowest, highest, seeds.
        values: of the parameter, in order; numbers get an axis with their distances, logarithmic if wide.
        settings: what else differs between the experiments; a dash pattern for each.
    """
    encoding: Spec = {"x": _values_axis(parameter, values), "color": _MODEL}
    if len(settings) > 1:
        encoding["strokeDash"] = _dash_of_each(settings)
    names = {"value": parameter, "model": "model", "setting": "with", "mean": "mean", "lowest": "lowest"}
    names |= {"highest": "highest", "seeds": "seeds"}
    numbers = ("mean", "lowest", "highest")
    tooltip = [{"field": f, "title": t, **({"format": ".4f"} if f in numbers else {})} for f, t in names.items()]
    mean = {"field": "mean", "type": "quantitative", **_perplexity()}
    return {
        "$schema": _SCHEMA,
        "data": {"values": list(points)},
        "encoding": encoding,
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": mean}},
            {
                "mark": {"type": "rule", "strokeWidth": 2, "strokeDash": [1, 0]},
                "encoding": {
                    "y": {**mean, "field": "lowest"},
                    "y2": {"field": "highest"},
                    "strokeDash": {"value": [1, 0]},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {"y": mean, "tooltip": tooltip},
            },
        ],
    }


def _values_axis(parameter: str, values: Sequence[Any]) -> Spec:
    """The x axis of a sweep: numbers in their distances, words side by side."""
    x: Spec = {"field": "value", "title": parameter}
    if not all(isinstance(value, int | float) for value in values):
        return {**x, "type": "ordinal", "sort": list(values), "axis": {"labelAngle": 0}}
    wide = min(values) > 0 and max(values) >= 4 * min(values)
    scale = {"nice": False, "padding": 24, **({"type": "log"} if wide else {"zero": False})}
    axis = {"values": list(values), "format": "~g", "grid": False}
    return {**x, "type": "quantitative", "scale": scale, "axis": axis}


def _dash_of_each(settings: Sequence[str]) -> Spec:
    """A dash pattern for each setting; more settings than patterns share them."""
    dashes = [[1, 0], [5, 4], [2, 3], [8, 3, 2, 3]]
    scale = {"domain": list(settings), "range": [dashes[i % len(dashes)] for i in range(len(settings))]}
    return {"field": "setting", "type": "nominal", "scale": scale, "legend": {**_DASHES, "columns": 1}}


def _perplexity(padding: int = 12) -> Spec:
    """A logarithmic axis without empty space: perplexities of 1.0 and 50 are both worth seeing."""
    scale = {"type": "log", "nice": False, "padding": padding}
    return {"title": "perplexity, log scale", "scale": scale, "axis": {"tickCount": 6, "format": "~r"}}


def _lines(series: Sequence[Series], y: Spec, encoding: Spec) -> Spec:
    """Lines over epochs that can be dragged and zoomed, with all values of the nearest epoch in a tooltip.

    The tooltip belongs to a rule at that epoch: one row of data for each epoch, one column for each line.
    """
    values = [
        {"epoch": epoch, "value": float(f"{value:.6g}"), "line": line.title, "model": LABELS[line.model]}
        | ({"window": line.window} if line.window else {})
        | ({"base": True} if line.base else {})
        for line in series
        for epoch, value in line.points
    ]
    hover = {"type": "point", "fields": ["epoch"], "nearest": True, "on": "pointermove", "clear": "pointerout"}
    zoom = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    lines = {
        "params": [{"name": "zoom", "select": zoom, "bind": "scales"}],
        "mark": {"type": "line", "clip": True, "strokeWidth": 1.8},
        "encoding": {
            "y": {"field": "value", "type": "quantitative", **y},
            "color": _MODEL,
            "detail": {"field": "line"},
            "opacity": {"condition": {"test": "datum.base", "value": 0.45}, "value": 1},
            **encoding,
        },
    }
    rule = {
        "transform": [{"pivot": "line", "value": "value", "groupby": ["epoch"]}],
        "params": [{"name": "hover", "select": hover}],
        "mark": {"type": "rule", "clip": True, "tooltip": {"content": "data"}},
        "encoding": {"opacity": {"condition": {"param": "hover", "empty": False, "value": 0.5}, "value": 0}},
    }
    x = {"field": "epoch", "type": "quantitative", "scale": {"nice": False}, "axis": {"format": "~d", "tickMinStep": 1}}
    return {"$schema": _SCHEMA, "data": {"values": values}, "encoding": {"x": x}, "layer": [lines, rule]}
