#!/usr/bin/env python3
"""Checks the layers of src/ and the size of files.

A folder of src/ includes only folders of a smaller level, and itself; src/main.cc includes all. Headers start with
#pragma once; the pieces of kernels in src/kernels/cpu/, which are included inside a region for one instruction set, may
have an #ifndef guard instead, and isa_*.h there, which open and close the region, have neither. No two files define a
class of the same name in the same named namespace: the linker would silently take the members of one for both. No source
file has more than 800 lines. Every folder of src/ has a README.md of at most 30 lines. Prints one line per finding; exit code 1 if any.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEVELS = {
    "base": 0,
    "tensor": 1,
    "kernels": 2,
    "formats": 2,
    "parallel": 3,
    "data": 3,
    "nn": 4,
    "train": 5,
    "infer": 5,
    "post": 6,
    "serve": 6,
    "analysis": 6,
}
MAX_LINES = 800
MAX_README_LINES = 30
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SOURCE_FOLDERS = ("src", "tests", "bench", "scripts", "cmake", "web")
SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake", ".js", ".css", ".html"}


def allowed(folder: str, other: str) -> bool:
    return folder == other or LEVELS[other] < LEVELS[folder]


def check_includes(path: pathlib.Path, lines: list[str]) -> list[str]:
    folder = path.relative_to(ROOT / "src").parts[0]
    findings = []
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        where = f"{path.relative_to(ROOT)}:{number}"
        target = match.group(1)
        other = target.split("/")[0]
        if "/" not in target or other not in LEVELS:
            findings.append(f'{where}: "{target}": want a path from src/, as folder/file.h')
        elif folder != "main.cc" and not allowed(folder, other):
            findings.append(
                f'{where}: {folder}/ (level {LEVELS[folder]}) must not include {other}/ (level {LEVELS[other]})'
            )
    return findings


def check_file(path: pathlib.Path) -> list[str]:
    findings = []
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT)
    if len(lines) > MAX_LINES:
        findings.append(f"{name}: {len(lines)} lines, at most {MAX_LINES}")
    in_region = path.parent == ROOT / "src" / "kernels" / "cpu"
    guarded = "#pragma once" in lines or (in_region and any(line.startswith("#ifndef HADAL_") for line in lines))
    if path.suffix == ".h" and not guarded and not (in_region and path.name.startswith("isa_")):
        findings.append(f"{name}: #pragma once is missing")
    if path.suffix in {".h", ".cc"} and path.is_relative_to(ROOT / "src"):
        findings += check_includes(path, lines)
    return findings


def classes_of(lines: list[str]) -> list[str]:
    """Full names of the classes that are defined in named namespaces, outside of other classes and functions."""
    names, spaces = [], []
    for line in lines:
        if match := re.match(r"namespace (\S* ?)\{", line):
            spaces.append(match.group(1).strip())
        elif line.startswith("}  // namespace") and spaces:
            spaces.pop()
        elif (match := re.match(r"(?:struct|class) (\w+)(?: final)?(?: :[^:;]*)? ?\{", line)) and spaces and all(spaces):
            names.append("::".join([*spaces, match.group(1)]))
    return names


def check_class_names() -> list[str]:
    where: dict[str, list[str]] = {}
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in {".h", ".cc"} and path.parent != ROOT / "src" / "kernels" / "cpu":
            for name in classes_of(path.read_text(encoding="utf-8").splitlines()):
                where.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return [f"{name}: defined in {' and '.join(paths)}" for name, paths in where.items() if len(paths) > 1]


def check_folders() -> list[str]:
    findings = []
    for folder in sorted(p for p in (ROOT / "src").iterdir() if p.is_dir()):
        if folder.name not in LEVELS:
            findings.append(f"src/{folder.name}: has no level in scripts/check_layers.py")
            continue
        readme = folder / "README.md"
        if not readme.is_file():
            findings.append(f"src/{folder.name}/README.md is missing")
        elif (count := len(readme.read_text(encoding="utf-8").splitlines())) > MAX_README_LINES:
            findings.append(f"src/{folder.name}/README.md: {count} lines, at most {MAX_README_LINES}")
    return findings


def main() -> int:
    findings = check_folders() + check_class_names()
    for top in SOURCE_FOLDERS:
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES and "golden" not in path.parts:
                findings += check_file(path)
    for finding in findings:
        print(finding)
    print(f"check_layers: {len(findings)} findings" if findings else "check_layers: ok")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
