"""The parts of `up` with tiny real processes: restarts, ends in order, and no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.up import child as children
from bridge.up.child import Child, Program
from bridge.up.folder import Folder
from bridge.up.guard import Guard
from bridge.up.house import House
from bridge.up.start import GATE
from schemas.errors import BadSettings, Conflict, Unavailable

# Says on the herald that it lives, by its own pid, and never ends by itself.
STAY = """
import os, signal
herald = open(os.environ["HERALD"], "w")
print(os.getpid(), file=herald, flush=True)
while True:
    signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + STAY


class Herald:
    """A pipe with a name: who lives says so, and when the last of them is dead the kernel does."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._ours = os.open(path, os.O_WRONLY)  # while it is open, silence is no end
        self._heard = b""

    async def words(self, count: int = 1) -> list[str]:
        async with asyncio.timeout(20):
            while self._heard.count(b"\n") < count:
                self._heard += await self._read()
        *lines, self._heard = self._heard.split(b"\n", count)
        return [line.decode() for line in lines]

    async def pid(self) -> int:
        return int((await self.words())[0])

    async def all_dead(self) -> None:
        self.close_ours()
        async with asyncio.timeout(20):
            while await self._read():
                pass

    async def _read(self) -> bytes:
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._end)
        return os.read(self._end, 4096)

    def close_ours(self) -> None:
        if self._ours != -1:
            os.close(self._ours)
            self._ours = -1

    def close(self) -> None:
        self.close_ours()
        os.close(self._end)


@pytest.fixture
def herald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Herald]:
    one = Herald(tmp_path / "herald")
    monkeypatch.setenv("HERALD", str(one.path))
    yield one
    one.close()


@pytest.fixture
def guard() -> Iterator[Guard]:
    keep = os.open(os.devnull, os.O_RDONLY)
    one = Guard(keep)
    yield one
    one.close()
    os.close(keep)


@pytest.fixture
def make(tmp_path: Path, guard: Guard) -> Callable[..., Child]:
    def build(code: str, grace: float = 10, say: Callable[[str], None] = lambda _: None) -> Child:
        command = [sys.executable, "-I", "-S", "-c", code]
        return Child(Program("thing", command, os.environ, tmp_path / "log", grace), guard, say)

    return build


def alive(pid: int) -> bool:
    """A zombie that nobody reaps (its parent was killed too) is dead."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc").is_dir()


async def test_what_dies_comes_back(
    make: Callable[..., Child], herald: Herald, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY", 0.01)
    said: list[str] = []
    child = make(STAY, say=said.append)
    child.patience = None
    run = asyncio.create_task(child.run())
    pids = set()
    for _ in range(3):
        pid = await herald.pid()
        assert pid not in pids and child.pid == pid
        pids.add(pid)
        os.kill(pid, signal.SIGKILL)
    assert await herald.pid() not in pids
    await child.stop()
    await run
    await herald.all_dead()
    assert [line for line in said if "killed by SIGKILL" in line and "starts again" in line] == said[:3]
    assert "0.04 s" in said[2]


async def test_wrong_settings_are_final_and_told(make: Callable[..., Child]) -> None:
    child = make("""import sys; print('{"event": "x", "error": "PORT is not a number"}'); sys.exit(2)""")
    with pytest.raises(BadSettings, match="thing refuses its settings: PORT is not a number"):
        await child.run()


async def test_a_house_of_a_newer_version_is_final_too(make: Callable[..., Child]) -> None:
    child = make("""import sys; print('{"event": "x", "error": "It is newer"}'); sys.exit(78)""")
    child.patience = None
    with pytest.raises(Conflict, match="thing cannot run here: It is newer"):
        await child.run()


async def test_what_never_starts_is_given_up(
    make: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY", 0.01)
    with pytest.raises(Unavailable, match=r"does not start \(exit code 7\): no luck"):
        await make("print('no luck'); raise SystemExit(7)").run()


async def test_the_stubborn_is_killed_after_its_grace(make: Callable[..., Child], herald: Herald) -> None:
    said: list[str] = []
    child = make(STUBBORN, grace=0.2, say=said.append)
    run = asyncio.create_task(child.run())
    await herald.pid()
    await child.stop()
    await run
    await herald.all_dead()
    assert "killed" in said[-1]


async def test_what_a_child_leaves_behind_goes_with_it(make: Callable[..., Child], herald: Herald) -> None:
    child = make(f"import subprocess,sys; subprocess.Popen([sys.executable,'-c',{STUBBORN!r}])\n{STAY}")
    run = asyncio.create_task(child.run())
    both = [int(word) for word in await herald.words(2)]
    assert all(map(alive, both)) and child.pid in both
    await child.stop()
    await run
    await herald.all_dead()


async def test_the_house_ends_in_reverse_on_a_signal(tmp_path: Path, guard: Guard, herald: Herald) -> None:
    code = (
        "import signal,sys\n"
        "def end(*_): os.write(herald.fileno(), f'{sys.argv[1]}\\n'.encode()); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM,end){STAY}"
    )

    async def course(house: House) -> int:
        for name in ("first", "second", "third"):
            command = [sys.executable, "-I", "-S", "-c", code, name]
            house.start(Program(name, command, os.environ, tmp_path / name))
            await herald.pid()
        house.steady()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        return 9

    assert await House(guard, lambda _: None).live(course) == 0
    assert await herald.words(3) == ["third", "second", "first"]


async def test_wrong_settings_are_final_in_the_foreground_too(guard: Guard) -> None:
    async def course(house: House) -> int:
        await house.foreground([sys.executable, "-c", "raise SystemExit(2)"], {}, "It could not be had")
        return 0

    with pytest.raises(BadSettings, match="the line above"):
        await House(guard, lambda text: None).live(course)


async def test_a_child_that_cannot_run_ends_the_house(tmp_path: Path, guard: Guard, herald: Herald) -> None:
    async def course(house: House) -> int:
        house.start(Program("good", [sys.executable, "-c", STAY], os.environ, tmp_path / "good"))
        await herald.pid()
        bad = [sys.executable, "-c", "raise SystemExit(2)"]
        house.start(Program("bad", bad, os.environ, tmp_path / "bad"))
        await asyncio.Event().wait()
        return 0

    with pytest.raises(BadSettings, match="bad refuses its settings"):
        await House(guard, lambda _: None).live(course)
    await herald.all_dead()


async def test_a_guard_that_was_killed_is_replaced_and_knows_whom_it_guards(
    guard: Guard, herald: Herald
) -> None:
    guarded = subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True)
    guard.watch(guarded.pid)
    await herald.pid()
    first, replaced = guard.pid, asyncio.Event()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        replaced.set()

    async def course(_: House) -> int:
        os.kill(guard.pid, signal.SIGKILL)
        await asyncio.wait_for(replaced.wait(), 20)
        return 3

    assert await House(guard, say).live(course) == 3
    assert guard.pid != first and "another took its place" in said[0] and len(said) == 1
    guard.close()  # as the kernel does it when `up` is killed
    await herald.all_dead()
    assert guarded.wait() == -signal.SIGKILL


KILLED = """
import asyncio, os, sys
from pathlib import Path
from bridge.up.child import Program
from bridge.up.folder import Folder
from bridge.up.guard import Guard
from bridge.up.house import House

async def course(house):
    for name in "ab":
        house.start(Program(name, [sys.executable, "-c", sys.argv[2]], os.environ, Path(sys.argv[1]) / name))
    await asyncio.Event().wait()

async def main():
    folder = Folder(Path(sys.argv[1]) / "data")
    await House(Guard(folder.lock), print).live(course)

asyncio.run(main())
"""


def test_a_child_whose_up_dies_before_its_guard_knows_of_it_does_nothing() -> None:
    done = subprocess.run(
        [*GATE, sys.executable, "-c", "print('begun')"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")


async def test_no_orphan_survives_a_killed_up(tmp_path: Path, herald: Herald) -> None:
    up = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), STUBBORN])
    pids = [int(word) for word in await herald.words(2)]
    assert all(map(alive, pids))
    up.kill()
    up.wait()
    # The lock is free only when they are gone: a new `up` never meets the old one's server.
    Folder(tmp_path / "data").close()
    await herald.all_dead()
