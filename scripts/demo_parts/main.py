"""Plays every case with Qt and with qshm, each in a world of its own, and prints the table."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import cases
import table
import world

BUILDS = ("qt", "qshm")
# What the cases start.
PROGRAMS = (*BUILDS, "instance")

# A private System V IPC namespace, /tmp, /dev/shm and process table. Whatever a case leaves there, a process
# that hangs included, ends with it.
PRIVATE = ["unshare", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()

    # As exceptions, so that users and sudoers are cleaned up after these as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    check_namespaces()
    # Not in /tmp, which the cases do not see.
    programs = pathlib.Path(tempfile.mkdtemp(prefix="qshm-demo-", dir="/var/tmp"))
    try:
        programs.chmod(0o755)  # the users' way in
        for build in PROGRAMS:
            shutil.copy(arguments.build / f"logic-{build}", programs)
        with world.people(programs) as (ann, ben):
            check_sudo(programs, ann)
            results = [play(case, programs, ann, ben) for case in cases.ALL]
        report = {"system": describe_system(programs), "cases": results}
    finally:
        shutil.rmtree(programs)

    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table.render(report))
    return 0 if all(result["qshm"]["good"] for result in results) else 1


def play(case, programs, ann, ben):
    """Both columns of one row."""
    row = {"name": case.name, "title": case.title}
    for build in BUILDS:
        print(f"  {case.name}, {build}: {case.title}", file=sys.stderr)
        command = PRIVATE + [
            sys.executable, "-B", cases.__file__, case.name, build, str(programs), ann, ben]
        row[build] = json.loads(run_and_reap(command))
    return row


def run_and_reap(command):
    """The output of a command that is not outlived by what it started, however this ends."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        output, _ = process.communicate()
    finally:
        # Killing the child, not unshare: unshare sees the end of the first process of a namespace
        # only when all others in it have ended, and a user with processes can't be deleted.
        for child in children(process):
            os.kill(child, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        sys.exit(f"demo: a case could not be played: {' '.join(command)}")
    return output


def children(process):
    """Of a process that is ours to wait for, none if it has ended."""
    if process.poll() is not None:
        return []
    listed = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def check_namespaces():
    if subprocess.run(PRIVATE + ["true"], check=False).returncode != 0:
        sys.exit("demo: the cases need namespaces of their own, and unshare is not allowed here; "
                 "in a container that takes CAP_SYS_ADMIN")


def check_sudo(programs, ann):
    """Cases must not fail for want of sudo."""
    command = ["sudo", "-n", programs / "logic-qt", "--version"]
    done = subprocess.run(command, user=ann, env=world.environment(ann), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit("demo: sudo does not let a user in by an entry in /etc/sudoers.d")


def describe_system(programs):
    version = subprocess.run([programs / "logic-qt", "--version"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    protected = pathlib.Path("/proc/sys/fs/protected_regular").read_text().strip()
    return {"qt": version.split()[-1], "linux": os.uname().release, "protected_regular": protected}


if __name__ == "__main__":
    sys.exit(main())
