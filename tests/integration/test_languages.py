"""Every case of every language on this machine, through the whole stack. The cases are data: runner-images/<language>/cases/."""

import json

import pytest
from stack import cases, languages_on_machine

LANGUAGES = languages_on_machine()
CASES = [(language, folder) for language in LANGUAGES.values() for folder in cases.folders(language["id"])]
# What a language has to show before it counts as supported.
REQUIRED = {"hello", "stdin", "args", "env", "files", "exit_code", "stderr", "unicode", "binary_output", "large_output"}
REQUIRED |= {"time_limit", "wall_limit", "memory_limit", "output_limit"}


@pytest.mark.parametrize("isolation", ["pod", "sandbox"])
@pytest.mark.parametrize("language, folder", CASES, ids=[f"{language['id']}-{folder.name}" for language, folder in CASES])
def test_case(api, language, folder, isolation):
    result = api.run(timeout_s=120, isolation=isolation, **cases.request(language, folder))
    wrong = cases.mismatches(cases.load(folder)["expect"], result)
    shown = {key: value if len(str(value)) < 1000 else str(value)[:1000] + "…" for key, value in result.items()}
    assert not wrong, "\n".join(wrong) + "\n" + json.dumps(shown, indent=2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_has_the_required_cases(language):
    names = {folder.name for folder in cases.folders(language)}
    assert REQUIRED <= names, f"missing: {sorted(REQUIRED - names)}"
    compiled = any("compile" in version for version in LANGUAGES[language]["versions"])
    assert {"compile_error", "compile_options"} <= names if compiled else "syntax_error" in names


def test_all_six_languages_are_here():
    assert set(LANGUAGES) >= {"python", "javascript", "java", "c", "cpp", "bash"}
