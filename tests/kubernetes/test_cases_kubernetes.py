"""Every case of every language, on every isolation level, through the api-server's Service."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from stack import cases, repository_root

FILES = sorted(repository_root().glob("runner-images/*/language.yaml"))
LANGUAGES = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES]
CASES = [(language, folder) for language in LANGUAGES for folder in cases.folders(language["id"])]
LEVELS = ("pod", "sandbox")
CLIENTS = 3  # more would make pods faster than two processors start them, and programs miss their time limits


@pytest.fixture(scope="module", params=LEVELS)
def results(request, installed):
    """(language, case) -> its result to come; several are under way at a time."""

    def run(language, folder):
        api = installed.api()
        try:
            return api.run(timeout_s=180, isolation=request.param, **cases.request(language, folder))
        finally:
            api.close()

    wanted = [item.callspec.params for item in request.session.items if item.module is request.module]
    wanted = [params for params in wanted if params["results"] == request.param]
    with ThreadPoolExecutor(max_workers=CLIENTS) as clients:
        yield {
            (each["language"]["id"], each["folder"].name): clients.submit(run, each["language"], each["folder"]) for each in wanted
        }


@pytest.mark.parametrize("language, folder", CASES, ids=[f"{language['id']}-{folder.name}" for language, folder in CASES])
def test_case(results, language, folder):
    result = results[language["id"], folder.name].result()
    wrong = cases.mismatches(cases.load(folder)["expect"], result)
    shown = {key: value if len(str(value)) < 1000 else str(value)[:1000] + "…" for key, value in result.items()}
    assert not wrong, "\n".join(wrong) + "\n" + json.dumps(shown, indent=2)
