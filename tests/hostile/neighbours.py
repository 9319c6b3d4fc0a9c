"""Honest tasks that run in the pod of an attack, from before it begins until it is over, and have to end right.

A neighbour says by a file that it is there, works on, and ends when it is sent SIGTERM from outside, which nothing in a sandbox can
do. Only where the tests may look into the processes of a pod."""

import json
import os
import signal
import uuid
from pathlib import Path
from typing import List

import processes
from client import Api, wait_for

LIMITS = {"wall_ms": 100_000, "cpu_ms": 5_000}
START_S = 60
END_S = 20  # an undisturbed one takes milliseconds

PROGRAMS = {
    "bash": 'trap \'echo "$1 42"; exit 0\' TERM\n: > /box/here\nwhile :; do sleep 100 & wait $!; done',
    "c": """#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
int main(int argc, char **argv) {
    sigset_t set; int got;
    sigemptyset(&set); sigaddset(&set, SIGTERM); sigprocmask(SIG_BLOCK, &set, NULL);
    if (open("/box/here", O_CREAT | O_WRONLY, 0600) < 0) { return 1; }
    sigwait(&set, &got);
    printf("%s 42\\n", argv[argc - 1]);
}""",
    "cpp": """#include <csignal>
#include <fstream>
#include <iostream>
int main(int argc, char **argv) {
    sigset_t set; int got;
    sigemptyset(&set); sigaddset(&set, SIGTERM); sigprocmask(SIG_BLOCK, &set, nullptr);
    std::ofstream("/box/here");
    sigwait(&set, &got);
    std::cout << argv[argc - 1] << " 42\\n";
}""",
    "java": """public class Main {
    public static void main(String[] args) throws Exception {
        sun.misc.Signal.handle(new sun.misc.Signal("TERM"), ended -> {
            System.out.println(args[0] + " 42");
            System.exit(0);
        });
        new java.io.File("/box/here").createNewFile();
        Thread.sleep(100_000);
    }
}""",
    "javascript": "process.on('SIGTERM', () => { console.log(`${process.argv[2]} 42`); process.exit(0) })\n"
    "require('fs').writeFileSync('/box/here', '')\nsetInterval(() => {}, 1000)",
    "python": "import signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nopen('/box/here', 'w').close()\n"
    "signal.sigwait([signal.SIGTERM])\nprint(sys.argv[1], 42)",
}


class Neighbour:
    """Started at once; present() waits until it runs in the pod whose first process is given."""

    def __init__(self, api: Api, language: str) -> None:
        self.language = language
        self._api = api
        self._mark = uuid.uuid4().hex
        self._task = api.accepted(language=language, source=PROGRAMS[language], args=[self._mark], limits=LIMITS)
        self._pid = 0

    def present(self, pod_pid: int) -> None:
        self._pid = wait_for(self._find, START_S, f"the neighbour in {self.language} runs")
        runner = processes.runner_of(self._pid)
        assert runner == pod_pid, f"the neighbour in {self.language} runs below {runner}, not in the pod of {pod_pid}"

    def finish(self) -> None:
        """It has not noticed anything."""
        assert processes.with_argument(self._mark) == [self._pid], f"the neighbour in {self.language} is gone: {self._outcome()}"
        os.kill(self._pid, signal.SIGTERM)
        found = self._outcome()
        assert found["ends"] == ["done", "ok", 1] and found["stdout"] == f"{self._mark} 42\n", f"the neighbour: {json.dumps(found)}"

    def _find(self) -> int:
        pids: List[int] = processes.with_argument(self._mark)
        return pids[0] if len(pids) == 1 and Path(f"/proc/{pids[0]}/root/box/here").exists() else 0

    def _outcome(self) -> dict:
        result = self._api.result(self._task, timeout_s=END_S)
        ends = [result["status"], result["verdict"], result["attempt"]]
        return {"ends": ends, **{key: result.get(key) for key in ("reason", "stdout", "stderr", "compile_output", "wall_ms")}}
