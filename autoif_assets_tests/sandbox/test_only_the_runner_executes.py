"""No other code of the package compiles or runs source."""

import ast
from pathlib import Path

import autoif_assets

PACKAGE = Path(autoif_assets.__file__).parent
RUNNER = PACKAGE / "sandbox" / "inside" / "runner.py"
# The latter parses the method's own modules.
PARSERS = {PACKAGE / "sandbox" / "static.py", PACKAGE / "code_versions.py"}
EXECUTES = {"exec", "eval", "compile", "execfile"}


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            yield f"{owner}.{node.func.attr}", node.lineno


def test_exec_eval_and_compile_are_called_by_the_runner_only():
    found = {
        (path, name)
        for path in PACKAGE.rglob("*.py")
        for name, _ in calls(path)
        if name in EXECUTES or name in {f"builtins.{word}" for word in EXECUTES}
    }
    assert found == {(RUNNER, "exec"), (RUNNER, "compile")}


def test_verifiers_are_parsed_by_the_static_checks_only():
    found = {
        path for path in PACKAGE.rglob("*.py") for name, _ in calls(path) if name == "ast.parse"
    }
    assert found == PARSERS


def test_no_module_loads_code_by_another_door():
    doors = {"runpy.run_path", "runpy.run_module", "marshal.loads", "pickle.loads", "pickle.load",
             "code.interact", "types.FunctionType", "types.CodeType"}  # fmt: skip
    found = [
        (path, name) for path in PACKAGE.rglob("*.py") for name, _ in calls(path) if name in doors
    ]
    # It starts the trainer's own module, which a person names on the command line.
    assert found == [(PACKAGE / "rewards" / "adapters" / "open_instruct.py", "runpy.run_module")]
