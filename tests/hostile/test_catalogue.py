"""The catalogue and the folders of attacks belong together."""

from pathlib import Path

import yaml
from attacks import CASES, all_attacks

ROWS = yaml.safe_load((Path(__file__).parent / "rows.yaml").read_text(encoding="utf-8"))


def test_every_row_has_an_attack():
    assert not set(ROWS) - {attack.row for attack in all_attacks()}


def test_every_attack_belongs_to_a_row():
    for attack in all_attacks():
        assert attack.row in ROWS and attack.name.startswith(attack.row + "-"), attack.name


def test_every_folder_is_an_attack_and_every_program_is_used():
    for folder in CASES.iterdir():
        assert (folder / "attack.yaml").is_file(), f"{folder.name} has no attack.yaml"
    for attack in all_attacks():
        used = {"attack.yaml"}
        for step in attack.about["steps"]:
            used |= {step.get("program"), step.get("drive"), *step.get("files", [])} - {None}
        assert {path.name for path in attack.folder.iterdir() if path.is_file()} == used, attack.name
