"""The room without its extra."""

import subprocess
import sys

import pytest

from autoif_assets.nli import NLIModel, NLIModelError


def test_import_and_empty_input_load_nothing_heavy():
    code = (
        "import sys; from autoif_assets.nli import NLIModel; "
        "assert NLIModel().classify([]) == []; "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_missing_extra_is_one_sentence(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NLIModelError) as error:
        NLIModel("anything").classify([("a", "b")])
    message = str(error.value)
    assert "pip install 'autoif-assets[nli]'" in message
    assert missing in message
    assert "\n" not in message


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size of the NLI model is 0"):
        NLIModel(batch_size=0)
