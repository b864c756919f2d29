import pytest

from autoif_assets.inputs import InputError, read_prompts, write_prompts
from autoif_assets.method.prompts import PROMPTS

ALL = b"{{ instruction }} {{ query }} {{ response }}"


def test_what_is_written_is_read_as_packaged_and_kept(tmp_path):
    folder = tmp_path / "a" / "prompts"
    assert [file.stem for file in write_prompts(folder)] == list(PROMPTS)
    assert read_prompts(str(folder)) == {role: one.source for role, one in PROMPTS.items()}
    mine = "Respond: {{ instruction }} {{ query }}"
    (folder / "response.jinja").write_text(f"\n{mine}\n\n")
    (folder / "score.jinja").unlink()
    (folder / "notes.md").write_text("mine")
    assert [file.stem for file in write_prompts(folder)] == ["score"]
    assert read_prompts(str(folder))["response"] == mine


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("respones.jinja", b"x", "respones.jinja: there is no prompt respones; did you mean resp"),
        ("zzz.jinja", b"x", "the prompts are self_instruct, category, verifier"),
        ("score.jinja", b"\n{{ instruction }}\n{{ asnwer }}", "score.jinja, line 3: there is no"),
        ("score.jinja", b"{{ query", "score.jinja, line 1: this is no Jinja template"),
        ("score.jinja", b"{{ query }}", "score.jinja: the template must name {{ instruction }}"),
        (
            "score.jinja",
            b"\n{{ query|nofilter }}",
            "score.jinja, line 2: this is no Jinja template: No",
        ),
        (
            "score.jinja",
            ALL + b"\n{% include 'a' %}",
            "score.jinja, line 2: a prompt is one file and",
        ),
        (
            "score.jinja",
            ALL + b"\n{% extends 'a' %}",
            "score.jinja, line 2: a prompt is one file and",
        ),
        (
            "score.jinja",
            ALL + b"\n\n{{ query.text.first }}",
            "score.jinja, line 3: it cannot be filled: UndefinedError: 'str object' has no attrib",
        ),
        (
            "score.jinja",
            ALL + b"{{ query + 1 }}",
            "score.jinja, line 1: it cannot be filled: TypeE",
        ),
        ("score.jinja", b"\xff", "score.jinja: is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused_by_name_and_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_prompts(str(tmp_path))
    assert f"{tmp_path}/{words}" in str(refused.value) or words in str(refused.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such folder of prompts"):
        read_prompts(str(tmp_path / "none"))
