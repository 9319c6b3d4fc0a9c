"""Every attack: its verdict, what must hold, honest tasks of every language right after it, and nothing left of it."""

import pytest
from attacks import all_attacks, assert_languages_work


@pytest.mark.parametrize("attack", all_attacks(), ids=lambda attack: attack.name)
def test_attack(lab, target, language_ids, attack):
    lacking = [reason for defence in attack.about.get("needs", []) if (reason := target.lacks(defence))]
    if lacking:
        pytest.skip("; ".join(lacking))
    lab.run(attack)
    assert_languages_work(lab.client, language_ids)
