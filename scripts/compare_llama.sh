#!/usr/bin/env bash
# Speed of a llama-bench (ik_llama.cpp or llama.cpp) and of hadal on one model, taking turns on one machine: prefill,
# decode over caches of several lengths, decode of eight sequences. Prints a table with ratios, the memory roof of the
# same minutes and the peak memory of both; each figure is the median of the rounds. docs/log.md has its tables.
set -euo pipefail

usage() {
  cat >&2 <<'TEXT'
usage: scripts/compare_llama.sh LLAMA_BENCH MODEL.gguf WEIGHTS [options]
  WEIGHTS       what hadal packs the model as: int8, int4, bf16, ...
  --hadal FILE  the program [build/release/hadal]
  --threads N   of both [2]
  --rounds N    turns of each [3]
  --cells LIST  of pp512,pp2048,tg0,tg1024,tg4096,b8 [all]
  --flags TEXT  of llama-bench; for ik_llama.cpp e.g. "-mla 1 -fa 0 -rtr 1 -fmoe 1" [none]
  --run PREFIX  a command before each measurement, e.g. one that stops other programs [none]
b8 (eight sequences at once) is hadal's alone: llama-bench has no such test.
TEXT
  exit 2
}

[ $# -ge 3 ] || usage
theirs=$1 model=$2 weights=$3
shift 3
hadal=build/release/hadal threads=2 rounds=3 cells=pp512,pp2048,tg0,tg1024,tg4096,b8 flags='' run=''
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --hadal) hadal=$2 ;;
    --threads) threads=$2 ;;
    --rounds) rounds=$2 ;;
    --cells) cells=$2 ;;
    --flags) flags=$2 ;;
    --run) run=$2 ;;
    *) usage ;;
  esac
  shift 2
done
for file in "$theirs" "$model" "$hadal"; do
  [ -e "$file" ] || { echo "compare_llama: no file $file" >&2; exit 1; }
done

exec python3 - "$theirs" "$model" "$weights" "$hadal" "$threads" "$rounds" "$cells" "$flags" "$run" <<'PYTHON'
import json, os, re, statistics, subprocess, sys, time

theirs, model, weights, hadal, threads, rounds, cells, flags, run = sys.argv[1:]


def measure(command):
    """stdout, and the peak memory of the process in bytes; None when it fails (the reason goes to stderr)."""
    peak = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"compare_llama.{os.getpid()}")
    watch = "import resource,subprocess,sys\nr=subprocess.run(sys.argv[2:],stdout=subprocess.PIPE,stderr=subprocess.PIPE,text=True)\n" \
            "open(sys.argv[1],'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss*1024))\n" \
            "sys.stdout.write(r.stdout)\nr.returncode and (sys.stderr.write(r.stderr[-2000:]),sys.exit(1))"
    got = subprocess.run([*run.split(), "python3", "-c", watch, peak, *command], stdout=subprocess.PIPE, text=True)
    if got.returncode != 0:
        print(f"compare_llama: failed: {' '.join(command)}", file=sys.stderr)
        return None
    with open(peak) as file:
        size = int(file.read())
    os.remove(peak)
    return got.stdout, size


def their_cell(cell):
    kind, size = cell[:2], int(cell[2:])
    # A token is generated after `size` others: -gp, whose rate counts generated tokens only.
    test = ["-p", str(size), "-n", "0"] if kind == "pp" else ["-p", "0", "-n", "0", "-gp", f"{size},32"] \
        if size > 0 else ["-p", "0", "-n", "64"]
    got = measure([theirs, "-m", model, "-t", threads, "-r", "2", "-o", "json", *flags.split(), *test])
    if got is None:
        return None
    # ik_llama.cpp writes lines of its log between those of the JSON.
    text = "\n".join(line for line in got[0].splitlines() if re.match(r'\s*["\[\]{}]', line))
    rows = [row for row in json.loads(text) if row["avg_ts"] > 0]
    return rows[-1]["avg_ts"], got[1]


def our_cell(cell):
    verb, option, size = {"pp": ("prefill", "--tokens", cell[2:]), "tg": ("decode", "--depth", cell[2:]),
                          "b8": ("batch", "--batch", "8")}[cell[:2]]
    got = measure([hadal, "bench", verb, "--model", model, "--weights", weights, "--threads", threads, "--repeats", "3",
                   "--json", option, size])
    if got is None:
        return None
    row = json.loads(got[0].splitlines()[-1])
    return row["tokens_per_second"], row["roof"], row["share"], row["peak_bytes"]  # without the probe of the roof


print(f"{os.path.basename(model)} as {weights}, {threads} threads, {rounds} rounds, {time.strftime('%F %H:%M')} UTC"
      f"; llama-bench {flags or '(no flags)'}\n", flush=True)
print("| cell, tokens/s | llama-bench | hadal | ratio (each round) | roof | hadal's share | peak memory, theirs / ours |")
print("|---|---|---|---|---|---|---|", flush=True)
for cell in cells.split(","):
    pairs = [(their_cell(cell) if cell != "b8" else None, our_cell(cell)) for _ in range(int(rounds))]
    t = [p[0] for p in pairs if p[0]]
    o = [p[1] for p in pairs if p[1]]
    both = [b[0] / a[0] for a, b in pairs if a and b]
    median = statistics.median
    def text(values, form):
        return form.format(median(values)) if values else "-"
    unit = "Gop/s" if cell[:2] == "pp" else "GB/s"
    ratios = f"{median(both):.2f} ({', '.join(f'{x:.2f}' for x in both)})" if both else "-"
    print(f"| {cell} | {text([x[0] for x in t], '{:.1f}')} | {text([x[0] for x in o], '{:.1f}')} | {ratios} | "
          f"{text([x[1] / 1e9 for x in o], '{:.0f}')} {unit} | {text([100 * x[2] for x in o], '{:.0f}%')} | "
          f"{text([x[1] / 1e9 for x in t], '{:.2f}')} / {text([x[3] / 1e9 for x in o], '{:.2f}')} GB |", flush=True)
PYTHON
