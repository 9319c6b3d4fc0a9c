import json

WORDS = ["c'); DROP TABLE tasks;--", "' OR '1'='1", "\\'; SELECT pg_sleep(10);--", "$1", "%s", "{0}", "x'||(SELECT version())||'", "$$; DROP TABLE results; $$"]


def attack(lab):
    for word in WORDS:
        for body in (
            {"language": word, "source": ""},
            {"language": "python", "version": word, "source": ""},
            {"language": "python", "source": "", "entry": word},
            {"language": "python", "source": "", "env": {word: "x"}},
            {"language": "python", "source": "", "limits": {word: 1}},
            {"language": "python", "source": "", word: 1},
            {"language": "c", "source": "", "compile": {"options": [word]}},
        ):
            status, _, content = lab.send("POST", "/submit", json.dumps(body).encode())
            assert status == 422, (body, status, content)
        status, _, _ = lab.send("GET", "/result/" + "".join(f"%{byte:02x}" for byte in word.encode()))
        assert status in (404, 422), (word, status)
        source = "import sys, os\nsys.stdout.write(sys.argv[1] + os.environ['WORD'] + sys.stdin.read())"
        result = lab.client.python(source, args=[word], env={"WORD": word}, stdin=word)
        assert (result["verdict"], result["stdout"]) == ("ok", word * 3), result
