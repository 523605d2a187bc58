"""The report's charts, in Vega-Lite: the page and its PNG show the same one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lstm_lm.comparison.measures import COLOURS, LABELS
from lstm_lm.comparison.plots import GENERALISATION, Plot, line_title

Spec = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_MODEL = {
    "field": "model",
    "type": "nominal",
    "scale": {"domain": list(LABELS.values()), "range": list(COLOURS.values())},
}
_DASHES = {"symbolType": "stroke", "symbolStrokeColor": "#888888", "symbolFillColor": "transparent", "labelLimit": 600}
# No round ends: they would leave most of the axis empty.
_LOGARITHMIC = {"scale": {"type": "log", "nice": False, "padding": 12}, "axis": {"tickCount": 6, "format": "~r"}}
_LINEAR = {"axis": {"format": ",d", "tickCount": 6}}


class Series(NamedTuple):
    """One line of a chart: value by epoch, of a model on a split ("" for none), here or at the base."""

    model: str
    split: str
    base: bool
    points: dict[int, float]

    @property
    def title(self) -> str:
        """Its name in legends, tooltips and tables."""
        return line_title(self.model, self.split) + (" (base)" if self.base else "")


def lines(series: Sequence[Series], plot: Plot) -> Spec:
    """Lines over epochs, to drag and zoom; a tooltip shows all values of the nearest epoch.

    A colour for each model, validation dashed, the base faint; a line of one value is a dot. The tooltip belongs to a
    vertical rule, whose data have a row for each epoch and a column for each line.
    """
    values = [
        {"epoch": epoch, "value": float(f"{value:.6g}"), "line": line.title, "model": LABELS[line.model]}
        | ({"split": line.split} if line.split else {})
        | ({"base": True} if line.base else {})
        | ({"single": True} if len(line.points) == 1 else {})
        for line in series
        for epoch, value in line.points.items()
    ]
    splits = list(dict.fromkeys(line.split for line in series if line.split))
    hover = {"type": "point", "fields": ["epoch"], "nearest": True, "on": "pointermove", "clear": "pointerout"}
    zoom = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    curves = {
        "params": [{"name": "zoom", "select": zoom, "bind": "scales"}],
        "mark": {"type": "line", "clip": True, "strokeWidth": 1.8},
        "encoding": {
            "y": _quantity("value", plot),
            "color": _MODEL,
            "detail": {"field": "line"},
            "opacity": {"condition": {"test": "datum.base", "value": 0.45}, "value": 1},
        }
        | ({"strokeDash": _dash_of_each("split", splits, columns=2)} if splits else {}),
    }
    dots = {
        "transform": [{"filter": "datum.single"}],
        "mark": {"type": "point", "clip": True, "filled": True, "size": 80},
        "encoding": {key: curves["encoding"][key] for key in ("y", "color", "opacity")},
    }
    single = [dots] if any("single" in value for value in values) else []
    rule = {
        "transform": [{"pivot": "line", "value": "value", "groupby": ["epoch"]}],
        "params": [{"name": "hover", "select": hover}],
        "mark": {"type": "rule", "clip": True, "tooltip": {"content": "data"}},
        "encoding": {"opacity": {"condition": {"param": "hover", "empty": False, "value": 0.5}, "value": 0}},
    }
    x = {"field": "epoch", "type": "quantitative", "title": plot.x, "scale": {"nice": False}}
    x["axis"] = {"format": "~d", "tickMinStep": 1}
    return {"$schema": _SCHEMA, "data": {"values": values}, "encoding": {"x": x}, "layer": [curves, *single, rule]}


def bars(values: Sequence[Spec], places: Sequence[str], plot: Plot) -> Spec:
    """Bars side by side at each place: a colour for each model, the train split faint.

    Args:
        values: place, value, model and split of each bar, and `line`, which names model and split.
        places: in order.
    """
    lines = list(dict.fromkeys(value["line"] for value in values))
    splits = list(dict.fromkeys(value["split"] for value in values))
    faint = {"domain": splits, "range": [0.4, 1]}
    tooltip = [{"field": "line"}, {"field": "place", "title": plot.x}, {"field": "value", "format": ".2f"}]
    return {
        "$schema": _SCHEMA,
        "data": {"values": list(values)},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "place",
                "type": "nominal",
                "title": plot.x,
                "sort": list(places),
                "axis": {"labelAngle": 0},
            },
            "xOffset": {"field": "line", "sort": lines},
            "y": {"field": "value", "type": "quantitative", "title": plot.y, "axis": {"tickCount": 6}},
            "color": _MODEL,
            "opacity": {"field": "split", "type": "ordinal", "scale": faint, "legend": {"symbolFillColor": "#888888"}},
            "tooltip": tooltip,
        },
    }


def sweep(points: Sequence[Spec], parameter: str, values: Sequence[Any], settings: Sequence[str]) -> Spec:
    """Perplexity against a parameter: mean as line and point, lowest to highest seed as a bar.

    Args:
        points: of one split: model, setting, value, mean, lowest, highest, seeds.
        values: of the parameter, in order; a wide range of numbers gets a logarithmic axis.
        settings: what else differs between the experiments; each has a dash pattern.
    """
    encoding: Spec = {"x": _values_axis(parameter, values), "color": _MODEL}
    if len(settings) > 1:
        encoding["strokeDash"] = _dash_of_each("setting", settings, columns=1)
    names = {"value": parameter, "model": "model", "setting": "with", "mean": "mean", "lowest": "lowest"}
    names |= {"highest": "highest", "seeds": "seeds"}
    numbers = ("mean", "lowest", "highest")
    tooltip = [{"field": f, "title": t, **({"format": ".4f"} if f in numbers else {})} for f, t in names.items()]
    mean = _quantity("mean", GENERALISATION)
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


def _quantity(field: str, plot: Plot) -> Spec:
    """The y axis."""
    return {"field": field, "type": "quantitative", "title": plot.y, **(_LOGARITHMIC if plot.log else _LINEAR)}


def _values_axis(parameter: str, values: Sequence[Any]) -> Spec:
    """The x axis of a sweep: numbers to scale, words side by side."""
    x: Spec = {"field": "value", "title": parameter}
    if not all(isinstance(value, int | float) for value in values):
        return {**x, "type": "ordinal", "sort": list(values), "axis": {"labelAngle": 0}}
    wide = min(values) > 0 and max(values) >= 4 * min(values)
    scale = {"nice": False, "padding": 24, **({"type": "log"} if wide else {"zero": False})}
    axis = {"values": list(values), "format": "~g", "grid": False}
    return {**x, "type": "quantitative", "scale": scale, "axis": axis}


def _dash_of_each(field: str, names: Sequence[str], columns: int) -> Spec:
    """A dash pattern for each name; more names than patterns share them."""
    dashes = [[1, 0], [5, 4], [2, 3], [8, 3, 2, 3]]
    scale = {"domain": list(names), "range": [dashes[i % len(dashes)] for i in range(len(names))]}
    return {"field": field, "type": "nominal", "scale": scale, "legend": {**_DASHES, "columns": columns}}
