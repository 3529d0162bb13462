"""Every exception raybio raises on purpose.

RaybioError                  anything below; `exit_code` is what a command exits with, see below
├── UsageError               a command or call that cannot be taken as given
├── StorageError             a file or folder that cannot be written: a full disk, no permission
├── ConfigError              a job config with faults (all of them, in one message)
├── InputError               data that cannot be read: names source, place and remedy
│   ├── AccessError          a file that cannot be reached, or breaks off: what it holds is not known
│   ├── FormatError          a file or record that is not what its format promises
│   │   └── ColumnsError     a table without the columns that are to be read
│   ├── TagError             a tag outside the scheme, or illegal where it stands
│   └── OffsetError          a mention whose offsets do not cover its text
├── ModelError               a model folder that is missing, unsafe or of the wrong kind
├── FetchError               a download that failed or did not match its checksum
├── TrainingError            a training run that cannot start or continue
├── ServingError             a served model that did not answer
│   ├── OverloadedError      one that has too many requests waiting: ask again later
│   └── TaggingError         one that failed on this very request
├── CommitError              an output folder that refuses this job's shards
├── ClusterError             a cluster that does not answer, or refuses
└── RejectedError            more records rejected than the job allows

What a command or job exits with, on a cluster too:

0    done
1    failure: a fault of the machine, the network or the program
2    what was given cannot be used: a command line, config, input, model or output folder
3    more records rejected than the job allows
4    stopped by Ctrl-C or SIGTERM; the last line says how to resume
141  the reader of stdout has left (`raybio ... | head`): 128 and SIGPIPE's number, as shells have it
"""

from __future__ import annotations

from raybio.safe_text import for_terminal, safe, without_secrets

DONE = 0
FAILURE = 1
UNUSABLE = 2
REJECTED = 3
STOPPED = 4
READER_GONE = 141


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without its last dot; its type where there is no text."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).rstrip(".:")


def root_cause(error: BaseException) -> BaseException:
    """Return the error of ours that `error` comes from, or what failed in a task of Ray, or `error`."""
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        error = cause  # Ray's own about a task has the traceback as its text
    ours: BaseException | None = error
    while ours and not isinstance(ours, RaybioError):
        ours = ours.__cause__
    return ours or error


class RaybioError(Exception):
    """Base of the tree above.

    What a message repeats (a URL, a server's answer, a line of a file) loses its credentials and
    control characters here, so that no error can carry them anywhere.
    """

    exit_code = FAILURE

    def __init__(self, *parts: object) -> None:
        super().__init__(*(safe(part) if isinstance(part, str) else part for part in parts))


class UsageError(RaybioError):
    """A command or call that cannot be taken as given."""

    exit_code = UNUSABLE


class StorageError(RaybioError):
    """A file or folder that cannot be written; what was there before is there still.

    `path` is its path or URL, `reason` why ("No space left on device").
    """

    exit_code = UNUSABLE

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: cannot be written ({reason}). Check the path, permissions and free space")

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class ConfigError(RaybioError):
    """A job config with faults; `faults` holds one line each."""

    exit_code = UNUSABLE

    def __init__(self, source: str, faults: list[str]) -> None:
        self.source = safe(source)
        self.faults = [safe(fault) for fault in faults]
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{self.source}: {count}\n" + "\n".join(f"  - {fault}" for fault in self.faults))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, list[str]]]:
        return type(self), (self.source, self.faults)


class InputError(RaybioError):
    """Data that cannot be read.

    `source` is the file, `place` the line, byte or record in it ("line 7"),
    `problem` what is wrong there and `remedy` what the reader of the message can do.
    """

    exit_code = UNUSABLE

    def __init__(self, source: str, place: str, problem: str, remedy: str) -> None:
        self.source, self.place, self.problem, self.remedy = (
            for_terminal(without_secrets(part, beside=source)) for part in (source, place, problem, remedy)
        )
        where = f"{self.source}, {self.place}" if place else self.source
        super().__init__(f"{where}: {self.problem}. {self.remedy}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, str]]:
        # Exceptions are rebuilt from `args` when they cross a process; ours take four.
        return type(self), (self.source, self.place, self.problem, self.remedy)


class AccessError(InputError):
    """A file that cannot be reached, or whose place breaks off in the middle: what it holds is not known."""


class FormatError(InputError):
    """A file or record that is not what its format promises."""


class ColumnsError(FormatError):
    """A table without the columns that are to be read."""


class TagError(InputError):
    """A tag outside the scheme, or illegal where it stands."""


class OffsetError(InputError):
    """A mention whose offsets do not cover its text."""


class ModelError(RaybioError):
    """A model folder that is missing, unsafe or of the wrong kind."""

    exit_code = UNUSABLE


class FetchError(RaybioError):
    """A download that failed or did not match its checksum."""


class TrainingError(RaybioError):
    """A training run that cannot start or continue."""


class ServingError(RaybioError):
    """A served model that did not answer; `retries` is how often it was asked again meanwhile."""

    def __init__(self, message: str, *, retries: int = 0) -> None:
        self.retries = retries
        super().__init__(message)


class OverloadedError(ServingError):
    """A served model that has too many requests waiting: ask again after `retry_after` seconds."""

    def __init__(self, message: str, *, retries: int = 0, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message, retries=retries)


class TaggingError(ServingError):
    """A served model that failed on this very request: asking again would not help."""


class CommitError(RaybioError):
    """An output folder that refuses this job's shards."""

    exit_code = UNUSABLE


class ClusterError(RaybioError):
    """A cluster that does not answer, or refuses."""


class RejectedError(RaybioError):
    """More records rejected than the job allows."""

    exit_code = REJECTED
