"""Objects in a bucket, which others may replace while they are read."""

import pyarrow.fs as pafs

TRIES = 10


def read(filesystem: pafs.FileSystem, path: str) -> bytes:
    """Return an object's bytes, all of one version of it.

    The size is known before the bytes are asked for, so another object that takes its place in
    between would be cut off; its description afterwards shows that. All bytes are asked for at
    once, as each part of a stream comes from the object of that moment.

    Raises:
        FileNotFoundError: If there is no such object.
        OSError: If it is replaced more often than it can be read, or the bucket refuses.
    """
    for _ in range(TRIES):
        with filesystem.open_input_file(path) as file:
            described = file.size(), file.metadata()  # in S3 with its ETag
            data: bytes = file.read()
        with filesystem.open_input_file(path) as file:
            if (file.size(), file.metadata()) == described and file.size() == len(data):
                return data
    raise OSError(f"it was replaced during each of {TRIES} reads")
