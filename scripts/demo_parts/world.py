"""Users who exist for the demo only, and the programs that they run."""

import contextlib
import os
import pathlib
import pwd
import re
import select
import signal
import subprocess
import tempfile
import time

# A start takes milliseconds. Whoever says nothing for so long hangs.
DEADLINE = 20.0


@contextlib.contextmanager
def people(programs):
    """Makes two ordinary users; the first one may run the programs as root, by sudo."""
    ann, ben = (f"qshm-{name}-{os.getpid()}" for name in ("ann", "ben"))
    sudoers = pathlib.Path(f"/etc/sudoers.d/qshm-demo-{os.getpid()}")
    with contextlib.ExitStack() as stack:
        for name in (ann, ben):
            stack.callback(delete_user, name)
            subprocess.run(["useradd", "--no-create-home", "--shell", "/usr/sbin/nologin",
                            "--comment", "temporary, of the qshm demo", name], check=True)
        stack.callback(sudoers.unlink, missing_ok=True)
        # sudo does not read names with a dot, so it never sees half an entry.
        draft = sudoers.with_suffix(".new")
        stack.callback(draft.unlink, missing_ok=True)
        draft.touch(mode=0o440)
        commands = ", ".join(f"{programs}/logic-{build}" for build in ("qt", "qshm", "instance"))
        draft.write_text(f"{ann} ALL=(root) NOPASSWD: {commands}\n")
        subprocess.run(["visudo", "-cqf", draft], check=True)
        draft.rename(sudoers)
        yield ann, ben


def delete_user(name):
    try:
        pwd.getpwnam(name)
    except KeyError:
        return  # useradd did not get that far
    subprocess.run(["userdel", name], check=True)


def environment(name):
    """What a user's shell would have at least, and nothing that steers Qt or qshm."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/",
            "USER": name, "LOGNAME": name}


class Instance:
    """One start of the application."""

    def __init__(self, program, person, options, sudo=False, at_once=True):
        command = ["sudo", "-n"] if sudo else []
        command += [str(program), *options]
        if not at_once:
            command = ["sh", "-c", 'read -r go; exec "$@"', "sh", *command]
        account = pwd.getpwnam(person)
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, env=environment(person), cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._errors,
            user=account.pw_uid, group=account.pw_gid, extra_groups=[])
        self._said = b""
        self.number = None
        self.hung = False

    def go(self):
        """Starts the application, where that was not done at once."""
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def wait_for_number(self, until=None):
        """Until the instance has said its number, or ended without."""
        line = self._read_line(until or time.monotonic() + DEADLINE)
        if line.startswith(b"number "):
            self.number = int(line.split()[1])
        return self

    def wait_for_end(self, until=None):
        """Tells the instance to end. An instance that doesn't is killed."""
        self._process.stdin.close()
        until = until or time.monotonic() + DEADLINE
        if self.hung:
            until = 0.0  # it was waited for already
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.hung = True
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        return self

    def kill(self):
        """Ends it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def error_code(self):
        """Qt's, from the application's complaint."""
        found = re.search(r"Qt error code: (\d+)", self.complaint())
        return int(found[1]) if found else None

    def complaint(self):
        """What the application wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def describe(self):
        if self.number is not None:
            return f"number {self.number}" + (", does not end" if self.hung else "")
        if self.hung:
            return "hangs"
        code = self.error_code()
        if code is None:
            return f"does not start, exit status {self._process.returncode}"
        return f"does not start, error {code}"

    def describe_death(self):
        """Of an instance that was to be killed; sudo dies of what its child died of."""
        if self.hung:
            return "hangs"
        code = self._process.returncode
        if code >= 0:
            return f"is not killed, exit status {code}"
        return f"killed by {signal.Signals(-code).name}"

    def _read_line(self, until):
        output = self._process.stdout.fileno()
        while b"\n" not in self._said:
            ready, _, _ = select.select([output], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                self.hung = True
                return b""
            data = os.read(output, 4096)
            if not data:
                self.wait_for_end()
                return b""
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return line
