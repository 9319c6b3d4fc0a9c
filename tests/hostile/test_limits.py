"""Limits at their edges: just under succeeds, just over gets that limit's verdict, in every language; usage is true."""

import pytest
from attacks import LANGUAGES, check

MIB = 1 << 20
TRUTH = 0.10

KEYS = ("verdict", "reason", "stderr", "exit_code", "signal", "wall_ms", "cpu_ms", "memory_bytes")

# Programs by language; {n} is how much. Each prints "done" when it could.
CPU = {
    "bash": "while times > /tmp/used && read -r used _ < /tmp/used && [[ ${{used#0m}} < {s}s ]]; do "
    "for ((i = 0; i < 2000; i++)); do :; done; done; echo done",
    "c": "#include <stdio.h>\n#include <time.h>\nint main(void) {{ while (clock() < {n} * 1000) {{ }} puts(\"done\"); }}",
    "cpp": "#include <cstdio>\n#include <ctime>\nint main() {{ while (std::clock() < {n} * 1000) {{ }} std::puts(\"done\"); }}",
    "java": """public class Main {{
    public static void main(String[] args) {{
        var bean = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        while (bean.getProcessCpuTime() < {n}L * 1000000) {{ for (int i = 0; i < 1000; i++) {{ Math.sqrt(i); }} }}
        System.out.println("done");
    }}
}}""",
    "javascript": "while (process.cpuUsage().user + process.cpuUsage().system < {n} * 1000) {{}}\nconsole.log('done')",
    "python": "import time\nwhile time.process_time() < {n} / 1000:\n    pass\nprint('done')",
}
WALL = {
    "bash": "sleep {s}; echo done",
    "c": "#include <stdio.h>\n#include <unistd.h>\nint main(void) {{ usleep({n} * 1000); puts(\"done\"); }}",
    "cpp": "#include <cstdio>\n#include <unistd.h>\nint main() {{ usleep({n} * 1000); std::puts(\"done\"); }}",
    "java": "public class Main {{ public static void main(String[] a) throws Exception {{"
    ' Thread.sleep({n}); System.out.println("done"); }} }}',
    "javascript": "setTimeout(() => console.log('done'), {n})",
    "python": "import time\ntime.sleep({n} / 1000)\nprint('done')",
}
MEMORY = {
    "bash": "x=$(head -c {n} /dev/zero | tr '\\0' x); echo done",
    "c": "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) {{ char *p = malloc({n}); memset(p, 1, {n});"
    ' __asm__ volatile("" : : "r"(p) : "memory"); puts("done"); }}',
    "cpp": "#include <cstdio>\n#include <vector>\nint main() {{ std::vector<char> v({n}, 1);"
    ' __asm__ volatile("" : : "r"(v.data()) : "memory"); std::puts("done"); }}',
    "java": """public class Main {{
    public static void main(String[] args) {{
        var buffer = java.nio.ByteBuffer.allocateDirect({n});
        for (int i = 0; i < {n}; i += 4096) {{ buffer.put(i, (byte) 1); }}
        System.out.println("done");
    }}
}}""",
    "javascript": "const b = Buffer.alloc({n}, 1)\nconsole.log('done', b.length ? '' : '')",
    "python": "b = bytearray(b'x') * {n}\nprint('done')",
}
OUTPUT = {
    "bash": "head -c {n} /dev/zero | tr '\\0' x",
    "c": '#include <stdio.h>\nint main(void) {{ for (int i = 0; i < {n}; i++) putchar(\'x\'); }}',
    "cpp": '#include <iostream>\nint main() {{ for (int i = 0; i < {n}; i++) std::cout << \'x\'; }}',
    "java": 'public class Main {{ public static void main(String[] a) {{ System.out.print("x".repeat({n})); }} }}',
    "javascript": "process.stdout.write('x'.repeat({n}))",
    "python": "import sys\nsys.stdout.write('x' * {n})",
}
FILE = {
    "bash": "head -c {n} /dev/zero > /box/f && echo done",
    "c": '#include <stdio.h>\nint main(void) {{ FILE *f = fopen("/box/f", "w"); for (int i = 0; i < {n}; i++) putc(0, f);'
    ' if (fclose(f) == 0) puts("done"); else return 1; }}',
    "cpp": '#include <fstream>\n#include <iostream>\n#include <string>\nint main() {{ std::ofstream f("/box/f");'
    " f << std::string({n}, 'x'); f.close();"
    ' if (!f) return 1; std::cout << "done\\n"; }}',
    "java": 'import java.nio.file.*;\npublic class Main {{ public static void main(String[] a) throws Exception {{'
    ' Files.write(Path.of("/box/f"), new byte[{n}]); System.out.println("done"); }} }}',
    "javascript": "require('fs').writeFileSync('/box/f', Buffer.alloc({n}))\nconsole.log('done')",
    "python": "with open('/box/f', 'wb') as f:\n    f.write(bytes({n}))\nprint('done')",
}
OPEN_FILES = "import os\nkept = []\nwhile len(kept) < {n}:\n    kept.append(os.open('/dev/null', os.O_RDONLY))\nprint('done')"
PROCESSES = "import os, time\nfor _ in range({n}):\n    if os.fork() == 0:\n        time.sleep(20)\n        os._exit(0)\n" "print('done')"

# What a runtime has resident beside the program's own data.
RUNTIME_BYTES = {"bash": 0, "c": 8 * MIB, "cpp": 8 * MIB, "java": 160 * MIB, "javascript": 96 * MIB, "python": 24 * MIB}
STARTUP_CPU_MS = {"java": 600, "javascript": 250}


@pytest.fixture(params=sorted(set(LANGUAGES.values())))
def language(request, language_ids):
    if request.param not in language_ids:
        pytest.skip(f"{request.param} is not installed here")
    return request.param


def run(lab, language, programs, n, **limits):
    source = programs[language].format(n=n, s=f"{n / 1000:.3f}")
    return lab.client.run(timeout_s=90, language=language, source=source, limits=limits)


def shown(result):
    return {key: str(result[key])[:300] for key in KEYS}


def test_wall_time(lab, language):
    under = run(lab, language, WALL, 600, wall_ms=2500, cpu_ms=8000)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, language, WALL, 2600, wall_ms=2500, cpu_ms=8000)
    assert over["verdict"] == "time_limit" and "wall" in over["reason"], shown(over)
    assert 2500 <= over["wall_ms"] < 3500, shown(over)


def test_cpu_time(lab, language):
    limit = 1500
    under = run(lab, language, CPU, limit - 250, cpu_ms=limit, wall_ms=30000)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, language, CPU, limit + 250, cpu_ms=limit, wall_ms=30000)
    assert over["verdict"] == "time_limit" and "cpu" in over["reason"], shown(over)
    assert limit <= over["cpu_ms"] < limit + 250, shown(over)


def test_memory(lab, language):
    limit = 384 * MIB
    room = RUNTIME_BYTES[language]
    share = 3 if language == "bash" else 1  # its substitutions hold the text more than once
    under = run(lab, language, MEMORY, (limit - room - 16 * MIB) // (2 * share), memory_bytes=limit, cpu_ms=20000, wall_ms=30000)
    assert (under["verdict"], under["stdout"].strip()) == ("ok", "done"), shown(under)
    over = run(lab, language, MEMORY, limit + 8 * MIB, memory_bytes=limit, cpu_ms=20000, wall_ms=30000)
    if language == "java":  # its virtual machine keeps to the limit by itself and throws
        assert over["verdict"] in ("memory_limit", "runtime_error"), shown(over)
    else:
        assert over["verdict"] == "memory_limit" and "memory" in over["reason"], shown(over)


@pytest.mark.parametrize("language", ["c", "cpp", "python"])
def test_memory_close_to_its_edge(lab, language):
    """Where little lies beside the data, the edge can be tested closely."""
    limit = 128 * MIB
    under = run(lab, language, MEMORY, limit - 16 * MIB, memory_bytes=limit)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, language, MEMORY, limit + MIB, memory_bytes=limit)
    assert over["verdict"] == "memory_limit", shown(over)


def test_output(lab, language):
    limit = 100000
    under = run(lab, language, OUTPUT, limit, output_bytes=limit)
    assert (under["verdict"], len(under["stdout"]), under["stdout_truncated"]) == ("ok", limit, False), shown(under)
    over = run(lab, language, OUTPUT, limit + 1, output_bytes=limit)
    assert (over["verdict"], len(over["stdout"]), over["stdout_truncated"]) == ("output_limit", limit, True), shown(over)


def test_file_size(lab, language):
    limit = 4 * MIB
    under = run(lab, language, FILE, limit, file_bytes=limit)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, language, FILE, limit + 1, file_bytes=limit)
    assert over["verdict"] in ("runtime_error", "signalled") and over["stdout"] == "", shown(over)


def test_open_files(lab):
    """256 of Python, three of which it has."""
    under = run(lab, "python", {"python": OPEN_FILES}, 252)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, "python", {"python": OPEN_FILES}, 254)
    assert over["verdict"] == "runtime_error" and "Too many open files" in over["stderr"], shown(over)


def test_processes(lab):
    under = run(lab, "python", {"python": PROCESSES}, 19, processes=20)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, "python", {"python": PROCESSES}, 20, processes=20)
    assert over["verdict"] == "runtime_error" and "Resource temporarily unavailable" in over["stderr"], shown(over)


def test_disk(lab):
    """64 MiB of Python, in files of 1 MiB."""
    write = "for i in range({n}):\n    with open(f'/box/{{i}}', 'wb') as f:\n        f.write(bytes(1 << 20))\nprint('done')"
    under = run(lab, "python", {"python": write}, 63)
    assert (under["verdict"], under["stdout"]) == ("ok", "done\n"), shown(under)
    over = run(lab, "python", {"python": write}, 65)
    assert over["verdict"] == "runtime_error" and "No space left" in over["stderr"], shown(over)


def test_usage_is_true(lab):
    """A C program that takes known amounts of each."""
    source = """
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++) {
        if (fork() == 0) {
            while (clock() < CLOCKS_PER_SEC / 2) { }
            _exit(0);
        }
    }
    char *p = malloc(100 << 20);
    memset(p, 1, 100 << 20);
    __asm__ volatile("" : : "r"(p) : "memory");
    while (wait(NULL) > 0) { }
    while (clock() < CLOCKS_PER_SEC / 2) { }
    struct timespec ts = {.tv_nsec = 500000000};
    nanosleep(&ts, NULL);
    return 0;
}
"""
    result = lab.client.run(language="c", source=source)
    check(result, {"verdict": "ok"})
    assert 1500 * (1 - TRUTH) <= result["cpu_ms"] <= 1500 * (1 + TRUTH), shown(result)
    assert 100 * MIB * (1 - TRUTH) <= result["memory_bytes"] <= 100 * MIB * (1 + TRUTH), shown(result)
    assert result["wall_ms"] >= 1000, shown(result)


def test_wall_time_is_true(lab):
    result = lab.client.run(language="c", source="#include <unistd.h>\nint main(void) { usleep(1200000); }")
    assert 1200 <= result["wall_ms"] <= 1200 * (1 + TRUTH), shown(result)
    assert result["cpu_ms"] <= 60, shown(result)
