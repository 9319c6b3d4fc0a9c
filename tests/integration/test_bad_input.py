"""What a stranger may send: each kind of wrong input is refused with a clear 4xx, and nothing of it is stored."""

import json
import socket

import pytest

GOOD = {"language": "python", "source": "print(1)"}


@pytest.fixture
def nothing_stored(query):
    """Fails the test when it left a row behind."""
    count = "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM results)"
    before = query(count)
    yield
    assert query(count) == before


def refused(answer, statuses, field=None):
    assert answer.status_code in statuses, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == answer.status_code and problem["title"]
    if field is not None:
        named = [error["field"] for error in problem.get("errors", [])]
        assert any(name == field or name.startswith((field + ".", field + "[")) for name in named), problem
    return problem


NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "half": b'{"language":"python","source":"1"',
    "trailing bytes": b'{"language":"python","source":"1"} {}',
    "trailing comma": b'{"language":"python","source":"1",}',
    "single quotes": b"{'language':'python'}",
    "comment": b'{"language":"python","source":"1"/* */}',
    "NUL byte": b'{"language":"python","source":"a\x00b"}',
    "NUL behind": b'{"language":"python","source":"1"}\x00',
    "escaped NUL": b'{"language":"python","source":"a\\u0000b"}',
    "escaped NUL in a key": b'{"language":"python","source":"1","a\\u0000b":1}',
    "invalid UTF-8": b'{"language":"python","source":"\xff\xfe"}',
    "overlong UTF-8": b'{"language":"python","source":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"language":"python","source":"\xed\xa0\x80"}',
    "lone surrogate": b'{"language":"python","source":"\\ud800"}',
    "byte order mark": b'\xef\xbb\xbf{"language":"python","source":"1"}',
    "UTF-16": '{"language":"python","source":"1"}'.encode("utf-16"),
    "duplicate key": b'{"language":"c","language":"python","source":"1"}',
    "duplicate key inside": b'{"language":"python","source":"1","limits":{"cpu_ms":1,"cpu_ms":2}}',
    "escaped duplicate key": b'{"language":"python","source":"1","sourc\\u0065":"2"}',
    "deep": b"[" * 100000,
    "deep object": b'{"a":' * 20000 + b"1" + b"}" * 20000,
    "huge number": b'{"language":"python","source":"1","limits":{"cpu_ms":1e999}}',
    "number past 2^53": b'{"language":"python","source":"1","limits":{"cpu_ms":9007199254740993}}',
    "NaN": b'{"language":"python","source":"1","limits":{"cpu_ms":NaN}}',
    "control character": b'{"language":"python","source":"a\x01b"}',
    "bad escape": b'{"language":"python","source":"\\x41"}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_not_json(api, nothing_stored, body):
    refused(api.post("/submit", data=body, headers={"Content-Type": "application/json"}), (400, 422))


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"python"', b"true"])
def test_json_that_is_no_object(api, nothing_stored, body):
    refused(api.post("/submit", data=body), (400, 422))


def changed(**fields):
    return {key: value for key, value in {**GOOD, **fields}.items() if value != "ABSENT"}


FILES = {"source": "ABSENT"}
BAD_FIELDS = [
    ("no language", changed(language="ABSENT"), "language"),
    ("language null", changed(language=None), "language"),
    ("language number", changed(language=1), "language"),
    ("language list", changed(language=["python"]), "language"),
    ("language unknown", changed(language="cobol"), "language"),
    ("language empty", changed(language=""), "language"),
    ("language long", changed(language="p" * 10000), "language"),
    ("language case", changed(language="Python; DROP TABLE tasks"), "language"),
    ("language path", changed(language="../python"), "language"),
    ("version unknown", changed(version="2.7"), "version"),
    ("version number", changed(version=3.11), "version"),
    ("no source", changed(source="ABSENT"), "source"),
    ("source number", changed(source=1), "source"),
    ("source object", changed(source={}), "source"),
    ("source and files", changed(files=[{"name": "main.py", "content": "1"}]), "source"),
    ("files empty", changed(**FILES, files=[]), "files"),
    ("files no list", changed(**FILES, files={"main.py": "1"}), "files"),
    ("file no object", changed(**FILES, files=["main.py"]), "files"),
    ("file without name", changed(**FILES, files=[{"content": "1"}]), "files"),
    ("file without content", changed(**FILES, files=[{"name": "main.py"}]), "files"),
    ("file name empty", changed(**FILES, files=[{"name": "", "content": "1"}]), "files"),
    ("file name absolute", changed(**FILES, files=[{"name": "/etc/passwd", "content": "1"}]), "files"),
    ("file name climbing", changed(**FILES, files=[{"name": "../main.py", "content": "1"}]), "files"),
    ("file name climbing inside", changed(**FILES, files=[{"name": "a/../../main.py", "content": "1"}]), "files"),
    ("file name dot", changed(**FILES, files=[{"name": "./main.py", "content": "1"}]), "files"),
    ("file name double slash", changed(**FILES, files=[{"name": "a//main.py", "content": "1"}]), "files"),
    ("file name slash behind", changed(**FILES, files=[{"name": "a/", "content": "1"}]), "files"),
    ("file name long", changed(**FILES, files=[{"name": "a" * 256, "content": "1"}]), "files"),
    ("file twice", changed(**FILES, files=[{"name": "main.py", "content": "1"}] * 2), "files"),
    ("file below a file", changed(**FILES, files=[{"name": name, "content": "1"} for name in ("main.py", "main.py/a")]), "files"),
    ("too many files", changed(**FILES, files=[{"name": f"{i}.py", "content": ""} for i in range(300)]), "files"),
    ("bad base64", changed(**FILES, files=[{"name": "main.py", "content": "?", "encoding": "base64"}]), "files"),
    ("unknown encoding", changed(**FILES, files=[{"name": "main.py", "content": "1", "encoding": "utf-7"}]), "files"),
    ("unknown field of a file", changed(**FILES, files=[{"name": "main.py", "content": "1", "mode": "0777"}]), "files"),
    ("entry that is no file", changed(**FILES, files=[{"name": "main.py", "content": "1"}], entry="other.py"), "entry"),
    ("entry climbing", changed(**FILES, files=[{"name": "main.py", "content": "1"}], entry="../main.py"), "entry"),
    ("stdin number", changed(stdin=1), "stdin"),
    ("args no list", changed(args="a b"), "args"),
    ("arg number", changed(args=[1]), "args"),
    ("too many args", changed(args=["a"] * 5000), "args"),
    ("env no object", changed(env=["A=1"]), "env"),
    ("env value number", changed(env={"A": 1}), "env"),
    ("env name empty", changed(env={"": "1"}), "env"),
    ("env name with equals sign", changed(env={"A=B": "1"}), "env"),
    ("too much env", changed(env={f"A{i}": "1" for i in range(5000)}), "env"),
    ("limits no object", changed(limits=[]), "limits"),
    ("unknown limit", changed(limits={"cpu": 1}), "limits"),
    ("limit zero", changed(limits={"cpu_ms": 0}), "limits"),
    ("limit negative", changed(limits={"cpu_ms": -1}), "limits"),
    ("limit text", changed(limits={"cpu_ms": "1000"}), "limits"),
    ("limit fraction", changed(limits={"cpu_ms": 1.5}), "limits"),
    ("limit above the maximum", changed(limits={"cpu_ms": 60001}), "limits.cpu_ms"),
    ("memory above the maximum", changed(limits={"memory_bytes": 1 << 40}), "limits.memory_bytes"),
    ("unknown field", changed(sauce="print(1)"), "sauce"),
    ("field in another case", changed(Stdin="1"), "Stdin"),
    ("options for what is not compiled", changed(compile={"options": ["-O2"]}), "compile"),
    ("compile no object", changed(language="c", source="int main(){}", compile=[]), "compile"),
    ("unknown field of compile", changed(language="c", source="int main(){}", compile={"flags": []}), "compile"),
]


@pytest.mark.parametrize("request_body, field", [case[1:] for case in BAD_FIELDS], ids=[case[0] for case in BAD_FIELDS])
def test_bad_field(api, nothing_stored, request_body, field):
    refused(api.post("/submit", json=request_body), (422,), field)


FORBIDDEN_OPTIONS = ["-fplugin=./evil.so", "-B.", "-specs=evil", "--specs=evil", "-wrapper", "@file", "-o", "main.c", "-x"]
FORBIDDEN_OPTIONS += ["-I/etc", "-I..", "-I../x", "-Ia/../../x", "-Wl,-rpath,/", "-Wp,-MD,x", "-Wa,--MD", "-save-temps=/", "-L/"]
FORBIDDEN_OPTIONS += ["", "-O2 -B.", "-O2\n-B.", "-fdump-tree-all=/x", "-M", "-c", "-fuse-ld=./x", "--sysroot=/", "-idirafter"]
FORBIDDEN_OPTIONS += ["-imacros/etc/passwd", "-include", "-Xlinker", "-lssl"]
FORBIDDEN_JAVA_OPTIONS = ["-J-Xmx1g", "-cp", "-d", "@file", "-processor", "-Xplugin:x", "-A", "-proc:only", "--module-path=/"]
FORBIDDEN_JAVA_OPTIONS += ["-sourcepath", "-s"]


@pytest.mark.parametrize("option", FORBIDDEN_OPTIONS)
@pytest.mark.parametrize("language", ["c", "cpp"])
def test_compiler_options_that_are_not_permitted(api, nothing_stored, language, option):
    refused(api.submit(language=language, source="int main(){}", compile={"options": [option]}), (422,), "compile")


@pytest.mark.parametrize("option", FORBIDDEN_JAVA_OPTIONS)
def test_java_options_that_are_not_permitted(api, nothing_stored, option):
    refused(api.submit(language="java", source="class Main {}", compile={"options": [option]}), (422,), "compile")


def test_every_fault_is_named(api, nothing_stored):
    request = {**GOOD, "stdin": 1, "args": "x", "env": {"": "1"}, "limits": {"cpu_ms": -1, "wall_ms": "1"}, "more": 1}
    problem = refused(api.post("/submit", json=request), (422,))
    assert {"stdin", "args", "more"} <= {error["field"] for error in problem["errors"]}
    del request["stdin"], request["args"], request["more"]
    problem = refused(api.post("/submit", json=request), (422,))
    assert {"env", "limits.cpu_ms", "limits.wall_ms"} <= {error["field"] for error in problem["errors"]}
    assert all(error["message"] for error in problem["errors"])


@pytest.mark.parametrize("wait", ["-1", "61", "1000000000000", "x", "", "1e1", "5s", "nan"])
def test_bad_wait(api, nothing_stored, wait):
    refused(api.post(f"/submit?wait={wait}", json=GOOD), (400, 422))


def test_body_past_the_bound(api, nothing_stored):
    size = 64 << 20
    try:
        answer = api.post("/submit", data=b'{"source":"' + b"x" * size + b'"}')
    except OSError:  # the server may close before it has been told everything
        return
    refused(answer, (413,))


def test_body_past_the_bound_in_chunks(api, nothing_stored):
    def chunks():
        yield b'{"source":"'
        for _ in range(1024):
            yield b"x" * 65536
        yield b'"}'

    try:
        answer = api.post("/submit", data=chunks())
    except OSError:
        return
    refused(answer, (413,))


def test_many_values_in_a_small_body(api, nothing_stored):
    refused(api.post("/submit", data=b'{"language":"python","source":"1","args":[' + b"0," * 900000 + b"0]}"), (400, 413, 422))


def raw(stack, request, timeout_s=10):
    """Send bytes as they are; what came back until the server closed or said nothing more."""
    with socket.create_connection(("127.0.0.1", stack.api_port), timeout=timeout_s) as connection:
        connection.sendall(request)
        connection.settimeout(3)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except socket.timeout:
            pass
        return answer


BODY = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(BODY),
        b"Content-Length: %d\r\nContent-Length: 1" % len(BODY),
        b"Content-Length: -1",
        b"Content-Length: 1x",
    ],
    ids=["length and chunked", "two lengths", "negative length", "length that is no number"],
)
def test_ambiguous_length(stack, api, nothing_stored, head):
    """Two readers who disagree about where a request ends let one hide a request in another's body."""
    hidden = b"GET /languages HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(stack, b"POST /submit HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + BODY + hidden)
    statuses = {line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}
    assert statuses <= {b"400", b"411"}, answer
    assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "line",
    [
        b"GET /result/%00 HTTP/1.1",
        b"GET /result/a%00b HTTP/1.1",
        b"GET /result/%0d%0aX:y HTTP/1.1",
        b"GET  HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9",
    ],
)
def test_odd_request_lines(stack, api, line):
    answer = raw(stack, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert api.get("/healthz").status_code == 200


def test_a_request_that_is_never_finished_does_not_stop_others(stack, api, nothing_stored):
    open_connections = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", stack.api_port), timeout=10)
        connection.sendall(b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        open_connections.append(connection)
    assert api.get("/healthz").status_code == 200
    for connection in open_connections:
        connection.close()
