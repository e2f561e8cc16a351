"""A Python program that counts its instances in four shared bytes.

    bindings.py BINDING KEY once|crash    prints "number N", then "ended"
    bindings.py BINDING KEY objects       how objects come and go; prints "ok NAME"
    bindings.py BINDING KEY ipc-keys      a QNativeIpcKey of each type, in Qt 6.6 and later
    bindings.py BINDING,BINDING KEY both  two versions of Qt in one process

BINDING: PyQt5, PyQt6, PySide6.
"""

import importlib
import os
import struct
import sys

binding, key, mode = sys.argv[1:]
cores = [importlib.import_module(name + ".QtCore") for name in binding.split(",")]
QtCore = cores[0]
QSharedMemory = QtCore.QSharedMemory


def say(text):
    print(text, flush=True)


def check(good, name):
    say(("ok " if good else "FAILED ") + name)
    if not good:
        sys.exit(1)


def bytes_of(memory):
    data = memory.data()
    if hasattr(data, "setsize"):
        data.setsize(memory.size())
    return memoryview(data).cast("B")


def count(memory, difference):
    """Changes the number under the lock, and returns what it was."""
    assert memory.lock(), memory.errorString()
    view = bytes_of(memory)
    (number,) = struct.unpack_from("i", view)
    struct.pack_into("i", view, 0, number + difference)
    assert memory.unlock(), memory.errorString()
    return number


def start_and_end():
    memory = QSharedMemory(key)
    if not memory.create(4) and not memory.attach():
        say(f"failed: {memory.errorString()}")
        sys.exit(2)
    say(f"number {count(memory, 1)}")
    if mode == "crash":
        os.abort()
    count(memory, -1)
    memory.detach()
    say("ended")


def is_free():
    probe = QSharedMemory(key)
    return not probe.attach() and probe.error() == QSharedMemory.SharedMemoryError.NotFound


def objects():
    memory = QSharedMemory(key)
    check(memory.create(4) and memory.isAttached() and memory.size() == 4, "create")
    other = QSharedMemory()
    other.setKey(key)
    check(not other.create(4) and other.errorString().startswith("QSharedMemory::create: already"), "error")
    check(other.attach(QSharedMemory.AccessMode.ReadOnly) and other.detach(), "attach")
    del memory, other
    check(is_free(), "deleted by Python")

    parent = QtCore.QObject()
    child = QSharedMemory(key, parent)
    names = []
    child.objectNameChanged.connect(names.append)
    check(child.create(4) and child.parent() is parent, "with a parent")
    child.setObjectName("child")
    check(names == ["child"], "signals")
    check(child.metaObject().className() == "QSharedMemory", "meta object")
    # The wrappers of a deleted child stay, and nobody may use them.
    del parent
    check(is_free(), "deleted by its parent")

    class Derived(QSharedMemory):
        def answer(self):
            return 42

    derived = Derived(key)
    check(derived.create(4) and derived.answer() == 42, "subclass")
    del derived
    check(is_free(), "subclass lets go")

    Mode = QtCore.QSystemSemaphore.AccessMode
    semaphore = QtCore.QSystemSemaphore(key, 1, Mode.Create)
    check(semaphore.acquire() and semaphore.release() and semaphore.key() == key, "semaphore")
    nameless = QtCore.QSystemSemaphore("", 1, Mode.Open)
    check(nameless.key() == "", "semaphore without a key")


def ipc_keys():
    Type = QtCore.QNativeIpcKey.Type
    for kind in (Type.SystemV, Type.PosixRealtime):
        for name in ("platformSafeKey", "legacyNativeKey"):
            native = getattr(QSharedMemory, name)(key, kind)
            guard = getattr(QtCore.QSystemSemaphore, name)(key + " guard", kind)
            check(ipc_key(native, guard), f"{name}, {kind.name}")
    memory = QSharedMemory(QtCore.QNativeIpcKey("", Type.Windows))
    memory.setNativeKey(QtCore.QNativeIpcKey("other", Type.Windows))
    check(memory.error() == QSharedMemory.SharedMemoryError.KeyError, "a type that there is not")


def ipc_key(native, guard):
    def semaphore():
        return QtCore.QSystemSemaphore(guard, 1, QtCore.QSystemSemaphore.AccessMode.Open)

    memory = QSharedMemory(native)
    other = QSharedMemory()
    other.setNativeKey(native)
    assert memory.nativeIpcKey() == native and memory.key() == other.key()
    assert memory.create(4) and not other.create(4) and other.attach(), other.errorString()
    assert count(memory, 1) == 0 and count(other, 1) == 1
    is_posix = native.type() == QtCore.QNativeIpcKey.Type.PosixRealtime
    assert os.path.exists("/dev/shm" + native.nativeKey()) == is_posix
    guards = [semaphore(), semaphore()]
    assert all(one.acquire() and one.release() and one.nativeIpcKey() == guard for one in guards)
    del memory, guards
    assert other.detach() and not other.attach()
    assert other.error() == QSharedMemory.SharedMemoryError.NotFound, other.errorString()
    return not any(os.path.exists("/dev/shm/sem." + name.nativeKey()[1:]) for name in (native, guard))


def both():
    one, other = (core.QSharedMemory(key) for core in cores)
    check(one.create(4) and other.attach(), " and ".join(core.qVersion() for core in cores))
    check(count(one, 1) == 0 and count(other, 1) == 1, "one segment")
    guards = [core.QSystemSemaphore(key, 1, core.QSystemSemaphore.AccessMode.Open) for core in cores]
    check(all(guard.acquire() and guard.release() for guard in guards), "one semaphore")
    del one
    check(bytes_of(other)[0] == 2, "it stays while one is there")
    del other
    check(is_free(), "both let go")


{"objects": objects, "ipc-keys": ipc_keys, "both": both}.get(mode, start_and_end)()
