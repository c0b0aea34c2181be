"""Renders templates with Jinja2 in an environment like that of Hugging Face's transformers: the oracle of
chat_template_test.cc. Reads one case per line, {"template": source, "context": {...}}, and prints one result per line,
{"text": ...} or {"error": ...}. With --update FILE the results are written into the cases as "want" (null: an error).
"""
import json
import sys

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_inner"), [], [], body).set_lineno(line)

    @staticmethod
    def _inner(caller):
        return caller()


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = refuse
    return env


def render(env, case):
    try:
        return {"text": env.from_string(case["template"]).render(**case["context"])}
    except Exception as error:  # whatever it is, ours must refuse as well
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    env = environment()
    if sys.argv[1:2] == ["--update"]:
        with open(sys.argv[2], encoding="utf-8") as file:
            cases = [json.loads(line) for line in file.read().split("\n") if line]
        for case in cases:
            case["want"] = render(env, case).get("text")
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases))
        return
    for line in sys.stdin.buffer.read().decode("utf-8").split("\n"):
        if line:
            print(json.dumps(render(env, json.loads(line))))


if __name__ == "__main__":
    main()
