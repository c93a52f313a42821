"""Objects that write an event file in each worker process of a Dask cluster."""

import os
import uuid
from pathlib import Path

import keras


def write_event(folder):
    Path(folder, f"{os.getpid()}-{uuid.uuid4().hex}").touch()


def events_by_process(folder):
    pids = [int(path.name.split("-")[0]) for path in Path(folder).iterdir()]
    return {pid: pids.count(pid) for pid in pids}


class LoggedFit(keras.callbacks.Callback):
    """Callback that writes an event when a fit starts."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs=None):
        write_event(self.folder)


class LoggedImages(list):
    """Images that write an event when a process receives them."""

    def __init__(self, images, folder):
        super().__init__(images)
        self.folder = folder

    def __reduce__(self):
        return _receive, (list(self), self.folder)


def _receive(images, folder):
    write_event(folder)
    return LoggedImages(images, folder)
