"""Does what it is told, line by line on standard input, with shared memory and
a semaphore of a QNativeIpcKey, and answers each line: "ok", or the error.

  key posix|systemv|systemv-NN NAME     platformSafeKey(), or a path as it is
  legacy posix NAME                     legacyNativeKey()
  create SIZE / attach / detach / lock / unlock
  sem VALUE                             a QSystemSemaphore of the key
  acquire / release

Ends without a word to Qt at "exit", cleanly at the end of standard input.
"""

import os
import sys

from PyQt6.QtCore import QNativeIpcKey, QSharedMemory, QSystemSemaphore

Type = QNativeIpcKey.Type


def kind(text):
    if text == "posix":
        return Type.PosixRealtime
    number = text.partition("-")[2]
    return Type(int(number)) if number else Type.SystemV


def main():
    memory, semaphore, key = QSharedMemory(), None, None
    for line in sys.stdin:
        command, *words = line.split()
        if command == "exit":
            os._exit(0)
        if command == "key":
            key = (QNativeIpcKey(words[1], kind(words[0])) if words[1].startswith("/")
                   else QSharedMemory.platformSafeKey(words[1], kind(words[0])))
            memory.setNativeKey(key)
            print(key.toString(), flush=True)
            continue
        if command == "legacy":
            key = QSharedMemory.legacyNativeKey(words[1], kind(words[0]))
            memory.setNativeKey(key)
            print(key.toString(), flush=True)
            continue
        if command == "sem":
            semaphore = QSystemSemaphore(key, int(words[0]))
            done, error = semaphore.error().value == 0, semaphore.errorString()
        elif command in ("acquire", "release"):
            done = getattr(semaphore, command)()
            error = semaphore.errorString()
        elif command == "create":
            done, error = memory.create(int(words[0])), memory.errorString()
        else:
            done, error = getattr(memory, command)(), memory.errorString()
        print("ok" if done else f"error {error}", flush=True)


main()
