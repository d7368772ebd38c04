"""The features' reference as Markdown, made from the catalogue that computes and stores by it, so it cannot drift."""

from __future__ import annotations

import sys

from models.features import FAMILIES, FeatureSpec


def reference() -> str:
    """A heading and a list of features for each family."""
    return "\n".join(f"### {title}\n\n{''.join(map(_entry, family))}" for title, family in FAMILIES.items())


def _entry(spec: FeatureSpec) -> str:
    unit = {"1": "no unit", "=": "the channel's unit", "=/min": "the channel's unit per minute"}.get(
        spec.unit, spec.unit
    )
    return (
        f"- `{spec.id}` ({unit}): {spec.meaning}\n"
        f"  - needs: {spec.needs}\n  - absent where: {spec.absent}\n  - source: {spec.source}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(reference())
