"""The cases. Run as a program: plays one of them in the namespaces it was started in.

    cases.py CASE qt|qshm PROGRAMS ANN BEN

prints {"good": whether all went as the application's user expects, "lines": what happened,
"complaints": what was written to standard error} as JSON.
"""

import collections
import dataclasses
import json
import pathlib
import resource
import subprocess
import sys
import time
import typing

import world

AT_ONCE = 32
ROUNDS = 5
# So long stays each of them in the lock, that a lock which does not exclude shows.
MICROSECONDS_IN_LOCK = "300"


class Play:
    """The stage of one case: who acts, what was seen."""

    def __init__(self, build, programs, ann, ben):
        self.build = build
        self._programs = programs
        self._instances = []
        self.ann = ann
        self.ben = ben
        self.lines = []
        self.before = objects()

    def start(self, person, *options, sudo=False, build=None, at_once=True):
        program = self._programs / f"logic-{build or self.build}"
        instance = world.Instance(program, person, options, sudo, at_once)
        self._instances.append(instance)
        return instance

    def hold(self, who, person, sudo=False):
        """Starts an instance that stays, and says what became of it."""
        return self.stay(who, person, sudo).number

    def stay(self, who, person, sudo=False, build=None):
        """The same; the instance."""
        instance = self.start(person, "--hold", sudo=sudo, build=build).wait_for_number()
        self.lines.append(f"{who}: {instance.describe()}")
        return instance

    def crash(self, who, person, how, sudo=False, build=None):
        """Starts an instance that is killed, and waits for that."""
        instance = self.start(person, how, sudo=sudo, build=build).wait_for_end()
        self.lines.append(f"{who}: {instance.describe_death()}")

    def end(self, of="left behind"):
        """Everyone ends. Was all given back?"""
        until = time.monotonic() + world.DEADLINE
        for instance in self._instances:
            instance.wait_for_end(until)
        kinds = collections.Counter(kind for kind, _ in objects() - self.before)
        left = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}"
                         for kind, count in sorted(kinds.items()))
        self.lines.append(f"{of}: {left or 'nothing'}")
        return not left and not any(instance.hung for instance in self._instances)

    def complaints(self):
        return [text for text in (instance.complaint() for instance in self._instances) if text]


def objects():
    """The System V and POSIX objects of this world, and the files that belong to them."""
    found = set()
    for kind, table in (("segment", "shm"), ("semaphore", "sem")):
        for line in pathlib.Path("/proc/sysvipc", table).read_text().splitlines()[1:]:
            found.add((kind, line.split()[1]))
    for path in pathlib.Path("/dev/shm").glob("**/*"):
        kind = "semaphore" if path.name.startswith("sem.") else "segment"
        found.add(("folder" if path.is_dir() else kind, str(path)))
    for path in pathlib.Path("/tmp").glob("q*/**/*"):
        found.add(("file", str(path)))
    for path in pathlib.Path("/tmp").glob("q*"):
        found.add(("folder" if path.is_dir() else "file", str(path)))
    # The registry of instances stays, and nobody is in it.
    return {(kind, name) for kind, name in found if "/qshm-instances-" not in name}


def root_crashes(play):
    play.crash("root", play.ann, "--crash", sudo=True)
    number = play.hold("user", play.ann)
    return play.end() and number == 0


def root_then_user(play):
    numbers = [play.hold("root", play.ann, sudo=True), play.hold("user", play.ann)]
    return play.end() and numbers == [0, 1]


def user_then_root(play):
    numbers = [play.hold("user", play.ann), play.hold("root", play.ann, sudo=True)]
    return play.end() and numbers == [0, 1]


def two_users(play):
    # Two users count for themselves, as two who can't touch each other's memory must.
    numbers = [play.hold("user A", play.ann), play.hold("user B", play.ben)]
    return play.end() and numbers == [0, 0]


def killed_in_lock(play):
    play.crash("user", play.ann, "--crash-in-lock")
    number = play.hold("user again", play.ann)
    if number:
        play.lines.append("(nobody else is running)")
    return play.end() and number == 0


def all_at_once(play):
    starts = failed = hung = shared = 0
    for _ in range(ROUNDS):
        numbers, missing, stuck = one_storm(play)
        starts += AT_ONCE
        failed += missing
        hung += stuck
        shared += len(numbers) - len(set(numbers))
        if stuck:
            break  # each further one would take as long as this one did
    play.lines += [
        f"{starts - failed - hung} of {starts} start",
        f"{hung} hang" if hung else "none hangs",
        f"{shared} get a number already taken" if shared else "no number twice",
    ]
    return play.end() and failed == hung == shared == 0


def one_storm(play):
    """The numbers that a crowd got; how many failed, and how many hung."""
    crowd = [play.start(play.ann, "--hold", "--work-in-lock", MICROSECONDS_IN_LOCK,
                        at_once=False)
             for _ in range(AT_ONCE)]
    for instance in crowd:
        instance.go()
    until = time.monotonic() + world.DEADLINE
    for instance in crowd:
        instance.wait_for_number(until)
    numbers = [instance.number for instance in crowd if instance.number is not None]
    stuck = sum(instance.hung for instance in crowd)
    until = time.monotonic() + world.DEADLINE
    for instance in crowd:
        instance.wait_for_end(until)
    return numbers, AT_ONCE - len(numbers) - stuck, stuck


def leftover_of_qt(play):
    play.crash("root", play.ann, "--crash", sudo=True, build="qt")
    play.before = objects()  # not ours to remove
    numbers = [play.hold("user", play.ann), play.hold("second", play.ann)]
    return play.end("left behind besides") and numbers == [0, 1]


def one_is_killed(play):
    # In place of the counter, qshm has numbers that the kernel keeps.
    build = "instance" if play.build == "qshm" else None
    first = play.stay("first", play.ann, build=build)
    second = play.stay("second", play.ann, build=build)
    first.kill()
    play.lines.append("first: killed")
    third = play.stay("third", play.ann, build=build)
    fourth = play.stay("fourth, root", play.ann, sudo=True, build=build)
    numbers = [instance.number for instance in (first, second, third, fourth)]
    if numbers[2:] != [0, 2]:
        play.lines.append("(three are running)")
    return play.end() and numbers == [0, 1, 0, 2]


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table."""
    name: str
    title: str
    act: typing.Callable[[Play], bool]


ALL = (
    Case("a", "root, by sudo, crashes; then the user starts", root_crashes),
    Case("b", "root, by sudo, is running; the user starts too", root_then_user),
    Case("c", "the user is running; root, by sudo, starts too", user_then_root),
    Case("d", "two ordinary users, A and B, at the same time", two_users),
    Case("e", "killed between lock and unlock, started again", killed_in_lock),
    Case("f", f"{AT_ONCE} start at once, {ROUNDS} times", all_at_once),
    Case("g", "root's leftover of plain Qt is in the way; the user starts twice", leftover_of_qt),
    Case("h", "the first of two is killed, more start (qshm: with Instance, not a counter)",
         one_is_killed),
)


def main():
    name, build, programs, ann, ben = sys.argv[1:]
    for own in ("/tmp", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", own], check=True)
    # No core files. 1 and not 0: that also keeps a dump handler from being started. Some versions
    # of sudo set it to 0 for good.
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))

    case = next(case for case in ALL if case.name == name)
    play = Play(build, pathlib.Path(programs), ann, ben)
    good = case.act(play)
    json.dump({"good": good, "lines": play.lines, "complaints": play.complaints()}, sys.stdout)


if __name__ == "__main__":
    main()
