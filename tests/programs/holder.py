"""holder.cpp in Python: does what it is told, line by line on standard input, with one shared memory
and one semaphore of real Qt, and answers each line as that one does.

    holder.py BINDING     PyQt6 or PySide6, of Qt 6.6 and later
"""

import importlib
import os
import struct
import sys

QtCore = importlib.import_module(sys.argv[1] + ".QtCore")
QSharedMemory, QSystemSemaphore = QtCore.QSharedMemory, QtCore.QSystemSemaphore
Type = QtCore.QNativeIpcKey.Type


def key_of(of, text):
    """What holder.cpp makes of the text of a key."""
    for begin, kind in (("posix:", Type.PosixRealtime), ("systemv:", Type.SystemV)):
        if text.startswith(begin):
            return of.platformSafeKey(text[len(begin) :], kind)
    return of.legacyNativeKey(text)


class Holder:
    def __init__(self):
        self.memory, self.semaphore = QSharedMemory(), None

    def told(self, done, of=None):
        of = of or self.memory
        return "ok" if done else f"error {of.error().value} {of.errorString()}"

    def bytes(self):
        data = self.memory.data()
        if hasattr(data, "setsize"):
            data.setsize(self.memory.size())
        return memoryview(data).cast("B")

    def key(self, text):
        if ":" in text:
            self.memory.setNativeKey(key_of(QSharedMemory, text))
        else:
            self.memory.setKey(text)
        return self.memory.nativeKey()

    def create(self, size, mode="rw"):
        return self.told(self.memory.create(int(size), self.mode(mode)))

    def attach(self, mode="rw"):
        return self.told(self.memory.attach(self.mode(mode)))

    def mode(self, mode):
        return getattr(QSharedMemory.AccessMode, "ReadOnly" if mode == "ro" else "ReadWrite")

    def detach(self):
        return self.told(self.memory.detach())

    def lock(self):
        return self.told(self.memory.lock())

    def unlock(self):
        return self.told(self.memory.unlock())

    def size(self):
        return str(self.memory.size())

    def attached(self):
        return "yes" if self.memory.isAttached() else "no"

    def number(self):
        value = self.get()
        self.put(int(value) + 1)
        return value

    def get(self):
        return str(struct.unpack_from("i", self.bytes())[0])

    def put(self, value):
        struct.pack_into("i", self.bytes(), 0, int(value))
        return "ok"

    def pattern(self, start):
        return bytes((i * 7 + int(start)) & 255 for i in range(self.memory.size()))

    def fill(self, start):
        self.bytes()[:] = self.pattern(start)
        return "ok"

    def filled(self, start):
        return "ok" if bytes(self.bytes()) == self.pattern(start) else "differs"

    def sem(self, text, value, mode):
        access = QSystemSemaphore.AccessMode
        access = access.Create if mode == "create" else access.Open
        self.semaphore = QSystemSemaphore(key_of(QSystemSemaphore, text), int(value), access)
        return self.told(self.semaphore.error().value == 0, self.semaphore)

    def acquire(self):
        return self.told(self.semaphore.acquire(), self.semaphore)

    def release(self, n=1):
        return self.told(self.semaphore.release(int(n)), self.semaphore)


holder = Holder()
for line in sys.stdin:
    command, *words = line.split()
    if command == "quit":
        break
    if command == "exit":
        os._exit(0)
    print(getattr(holder, command)(*words), flush=True)
# PyQt runs no destructors of what there is still when Python ends.
holder.memory = holder.semaphore = None
