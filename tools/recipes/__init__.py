"""Recipes: named parameters whose results are committed beside published ones."""
