"""Measurements: each section alternates its contenders in one run and reports their ratio."""
