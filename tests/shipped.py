"""The mark of tests about what this project ships: README, docs/ and recipes/ belong to one params.yaml alone."""

import hashlib
import json

import pytest
import yaml

from projects import ROOT

DIGEST = "cea71c5b5b149ca1b5eb6de26187b3301817a8c96e4d95a7faf82a98bcba9914"
"""Of the values in the shipped params.yaml."""

_values = json.dumps(yaml.safe_load((ROOT / "params.yaml").read_text("utf-8")), sort_keys=True)
shipped = pytest.mark.skipif(
    hashlib.sha256(_values.encode()).hexdigest() != DIGEST,
    reason="params.yaml is not the shipped one, whose digest is in tests/shipped.py",
)
