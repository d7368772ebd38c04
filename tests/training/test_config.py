from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ConfigurationError
from training.config import TrainingConfig, load_config


def test_settings_come_from_a_file_and_what_it_does_not_name_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "best.toml"
    file.write_text("dropout = 0.3\nsteps = 150\n")
    assert load_config(None, TrainingConfig) == TrainingConfig()
    assert load_config(file, TrainingConfig) == TrainingConfig(dropout=0.3, steps=150)


@pytest.mark.parametrize(("text", "said"), [("droput = 0.3", "droput"), ("steps = 0.5", "steps"), ("=", "best.toml")])
def test_a_setting_that_is_none_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "best.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_config(file, TrainingConfig)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(tmp_path / "nothing.toml", TrainingConfig)
