"""Runs the emulator for as long as standard input stays open: it cannot outlive the test that started it."""

import os
import threading


def watch() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()

from ministack.app import main  # noqa: E402

main()
