"""Marks of tests about what this project ships: README, docs/ and recipes/ belong to one params.yaml and results."""

import hashlib
import json

import pytest
import yaml

from projects import ROOT
from tools.project import git

DIGEST = "4f2c5818d53fdbdb2dcc3f2e24fea1fdbffc72db008b2aa02437b5d267232f7b"
"""Of the values in the shipped params.yaml."""

_values = json.dumps(yaml.safe_load((ROOT / "params.yaml").read_text("utf-8")), sort_keys=True)
shipped = pytest.mark.skipif(
    hashlib.sha256(_values.encode()).hexdigest() != DIGEST,
    reason="params.yaml is not the shipped one, whose digest is in tests/shipped.py",
)
committed = pytest.mark.skipif(
    git(ROOT, "status", "--porcelain", "--", "metrics", "recipes") != "",
    reason="git does not say that metrics/ and recipes/ are the committed ones, from which README and docs were made",
)
