"""raybio: biomedical named entity recognition at scale on Ray, encoders and LLMs on equal terms."""

__version__ = "0.1.0"
