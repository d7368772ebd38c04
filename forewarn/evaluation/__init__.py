"""Public benchmarks through the product's own path: train on some machines, listen to others, score what was said.

One file a benchmark (`benchmark.NAMES`), with three functions: `evaluate`, `score`, `describe`.
"""
