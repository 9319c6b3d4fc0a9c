"""Every case of every language, through the api of an installation by Compose."""

import json

import pytest
import yaml
from stack import cases, repository_root

FILES = sorted(repository_root().glob("runner-images/*/language.yaml"))
LANGUAGES = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES]
CASES = [(language, folder) for language in LANGUAGES for folder in cases.folders(language["id"])]


@pytest.mark.parametrize("language, folder", CASES, ids=[f"{language['id']}-{folder.name}" for language, folder in CASES])
def test_case(api, language, folder):
    result = api.run(timeout_s=120, **cases.request(language, folder))
    wrong = cases.mismatches(cases.load(folder)["expect"], result)
    shown = {key: value if len(str(value)) < 1000 else str(value)[:1000] + "…" for key, value in result.items()}
    assert not wrong, "\n".join(wrong) + "\n" + json.dumps(shown, indent=2)
