"""Checks of results, code and dependencies: `make verify`, `make small`, `make current`, `make lint`, `make audit`."""
