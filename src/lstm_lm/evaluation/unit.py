"""Units of the cells along passages: those that follow a named feature most strongly, with their values."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

UNITS = 24
"""How many of the best units are kept, of the hidden state and of the cell state each."""
_RANKED = ("hidden state", "cell state")


def correlations(series: Tensor, features: Tensor) -> Tensor:
    """Pearson's r of each unit with each feature, (units, features); 0 where a unit does not change.

    Args:
        series: values of units along T tokens, float64, (T, units).
        features: numbers along the same tokens, float64, (T, features).
    """
    series, features = (values - values.mean(0) for values in (series, features))
    # Sums of products instead of a matrix product: the same bits on every processor.
    products = torch.stack([(series * feature[:, None]).sum(0) for feature in features.T], 1)
    lengths = series.square().sum(0).sqrt()[:, None] * features.square().sum(0).sqrt()
    return torch.where(lengths > 0, products / lengths.clamp(min=1e-12), 0.0)


def units(series: Mapping[str, Mapping[str, Tensor]], features: Mapping[str, Sequence[float]], hidden: int) -> Any:
    """The units of a model that follow a feature most strongly, as JSON.

    Args:
        series: split -> name, such as "hidden state" -> values along the split's passage, (T, layers * hidden).
        features: name -> its numbers along the passages, one after the other.
        hidden: units of a layer.

    Returns:
        `tokens`: how many each split's passage has. `units`: `layer` and `number`, from 1, and for each series the
        feature that it follows and r. `scales`: for each series what the byte 127 stands for, by unit. `values`: for
        each split and series signed bytes in base64, unit after unit.
    """
    names = list(features)
    numbers = torch.tensor([list(map(float, row)) for row in features.values()], dtype=torch.float64).T
    whole = {name: torch.cat([part[name] for part in series.values()]) for name in next(iter(series.values()))}
    followed = {name: correlations(values, numbers) for name, values in whole.items()}
    strongest = {name: r.abs().round(decimals=4).max(1) for name, r in followed.items()}
    chosen = sorted({unit for name in _RANKED for unit in _first(strongest[name].values)})
    scales = {name: values.abs().amax(0).clamp(min=1.0)[chosen] for name, values in whole.items()}

    def follows(name: str, unit: int) -> list[Any]:
        feature = int(strongest[name].indices[unit])
        return [names[feature], round(float(followed[name][unit, feature]), 4)]

    return {
        "tokens": {split: len(next(iter(part.values()))) for split, part in series.items()},
        "units": [
            {"layer": unit // hidden + 1, "number": unit % hidden + 1, **{name: follows(name, unit) for name in whole}}
            for unit in chosen
        ],
        "scales": {name: [round(float(scale), 4) for scale in values] for name, values in scales.items()},
        "values": {
            split: {name: _bytes(values[:, chosen] / scales[name]) for name, values in part.items()}
            for split, part in series.items()
        },
    }


def _first(strengths: Tensor) -> list[int]:
    """The units with the greatest strengths; equal ones in order."""
    return strengths.argsort(descending=True, stable=True)[:UNITS].tolist()


def _bytes(values: Tensor) -> str:
    """Values from -1 to 1, (T, units), as signed bytes in base64, unit after unit."""
    return base64.b64encode((values.T * 127).round().to(torch.int8).contiguous().numpy().tobytes()).decode()
