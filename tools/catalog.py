#!/usr/bin/env python3
"""catalog.py - write the compiled-in lists from the fact tables.

    tools/catalog.py MODELS.tsv PROVIDERS.tsv [OUTDIR]

Reads the two fact tables and writes OUTDIR/catalog.tsv and OUTDIR/providers.tsv (OUTDIR is
route/ beside this script unless given). Run by hand when the facts change; the results are
committed. The same input gives the same bytes: no clock, no environment, input order kept.

Everything that route/builtin.c takes for granted is checked here, so that bad facts stop the
maintainer and not the program. Prices stay decimal strings; nothing passes through a float.
"""
import calendar
import os
import re
import sys
import time

PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6}0*)?")
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
MODEL = re.compile(r"[!-~]+")
NAME_MAX = 96           # CATALOG_NAME_MAX: bytes of "provider/model"
DATES_MAX = 4           # PRICE_DATES_MAX: the base price and three later ones
TOKENS_MAX = 2**32 - 1
DIALECTS = {"chat": "openai", "anthropic": "anthropic", "gemini": "gemini", "other": "other"}
AUTHS = {"bearer", "x-api-key", "x-goog-api-key", "api-key", "sigv4", "service-account", "none"}
# Environment names in the table that hold no key which could stand in a header.
NOT_KEYS = re.compile(r".*_(NAME|REGION|LOCATION|PROJECT|HOST|ACCOUNT_ID|CREDENTIALS)|"
                      r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)")
ABILITIES = (("tools", "t"), ("vision", "v"), ("structured_output", "j"), ("reasoning", "r"))
# The fact table leaves out what answers without text; these are served by paths this release
# has. Provider, id, input price (output costs nothing), context. Source: the provider's own
# pricing page and model pages, long unchanged.
UNSPOKEN = (("openai", "text-embedding-3-small", "0.02", "8192"),
            ("openai", "text-embedding-3-large", "0.13", "8192"),
            ("openai", "text-embedding-ada-002", "0.10", "8192"),
            ("openai", "omni-moderation-latest", "0", ""),
            ("openai", "omni-moderation-2024-09-26", "0", ""))
FACTS = """\
# Facts only, collected from public projects and provider documentation (August 2026):
# crmne/ruby_llm, models.dev (anomalyco/models.dev), pydantic/genai-prices,
# charmbracelet/catwalk (all MIT); simonw/llm-prices (compared only); for providers also
# litellm, Portkey-AI/gateway, vercel/ai, maximhq/bifrost and the providers' own pages.
"""
CATALOG_HEAD = """\
# catalog.tsv - models known without configuration. Written by tools/catalog.py; do not edit.
# provider, id, input, cached, cache_write, output (US dollars per 1M tokens; empty: no source
# says), then above, input, cached, output of the long-prompt tier, then later prices as
# unix-seconds:input/cached/output separated by blanks, context, max_output (tokens),
# abilities (t tools, v vision, j JSON schema, r reasoning).
"""
PROVIDERS_HEAD = """\
# providers.tsv - providers known by name. Written by tools/catalog.py; do not edit.
# name, aliases, dialect, base_url (ends where the dialect's path begins; {braces} are to be
# filled in by the operator), environment names of the key, auth.
"""


def fail(where, what):
    sys.exit(f"catalog.py: {where}: {what}")


def rows(path):
    with open(path, encoding="ascii", newline="\n") as file:
        lines = file.read().splitlines()
    columns = lines[0].split("\t")
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        if len(fields) != len(columns):
            fail(f"{path}:{number}", f"{len(fields)} fields, not {len(columns)}")
        yield f"{path}:{number}", dict(zip(columns, fields))


def price(where, text):
    """A price in its shortest exact spelling; empty stays empty."""
    if not text:
        return ""
    if not PRICE.fullmatch(text):
        fail(where, f"price {text!r} is not exact in pico-dollars a token")
    return text.rstrip("0").rstrip(".") if "." in text else text


def tokens(where, text):
    if text and (not text.isdecimal() or int(text) > TOKENS_MAX):
        fail(where, f"{text!r} is not a count of tokens")
    return "" if text == "0" else text


def scheduled(where, text):
    out, last = [], 0
    for item in text.split():
        date, _, prices = item.partition(":")
        seconds = calendar.timegm(time.strptime(date, "%Y-%m-%d"))
        parts = prices.split("/")
        if len(parts) != 3 or not parts[0] or not parts[2] or seconds <= last:
            fail(where, f"scheduled price {item!r}")
        last = seconds
        out.append(f"{seconds}:" + "/".join(price(where, part) for part in parts))
    if len(out) >= DATES_MAX:
        fail(where, "too many scheduled prices")
    return " ".join(out)


def model_line(where, row):
    base = [price(where, row[name]) for name in
            ("input_usd_per_m", "cached_input_usd_per_m", "cache_write_usd_per_m",
             "output_usd_per_m")]
    if bool(base[0]) != bool(base[3]) or (not base[0] and any(base)):
        fail(where, "input and output prices come together")
    tier = [tokens(where, row["tier_over_tokens"])]
    tier += [price(where, row[f"tier_{name}_usd_per_m"])
             for name in ("input", "cached_input", "output")]
    if any(tier) and not (base[0] and tier[0] and tier[1] and tier[3]):
        fail(where, "a tier needs its limit, input and output and a base price")
    later = scheduled(where, row["scheduled_price"])
    if later and (any(tier) or not base[0]):
        fail(where, "what a scheduled price does to a tier is not known")
    abilities = "".join(letter for name, letter in ABILITIES if row[name] == "1")
    return "\t".join([row["provider"], row["model_id"], *base, *tier, later,
                      tokens(where, row["context_window"]), tokens(where, row["max_output"]),
                      abilities])


def models(path, providers):
    seen, out = set(), []
    for where, row in rows(path):
        name = f"{row['provider']}/{row['model_id']}"
        if row["provider"] not in providers:
            fail(where, f"provider {row['provider']!r} is not in the provider table")
        if not MODEL.fullmatch(row["model_id"]) or len(name) > NAME_MAX or name in seen:
            fail(where, f"model id {name!r} is odd, too long, or comes twice")
        seen.add(name)
        out.append(model_line(where, row))
    for provider, model, price_text, context in UNSPOKEN:
        if f"{provider}/{model}" not in seen:
            out.append("\t".join([provider, model, price_text, "", "", "0", "", "", "", "", "",
                                  context, "", ""]))
    return out


def spoken(row):
    """Dialect and base. A native dialect that we do not speak gives way to the provider's own
    OpenAI-compatible base, where it has one without braces (Cohere)."""
    dialect, base = DIALECTS.get(row["dialect"]), row["base_url"]
    if dialect == "other":
        also = re.match(r"chat (https://[^ ;{}]+)(;|$)", row["also_speaks"])
        if also:
            return "openai", also.group(1)
    return dialect, base


def providers(path):
    taken, out = set(), {}
    for where, row in rows(path):
        names = [row["name"]] + [alias for alias in row["aliases"].split(",") if alias]
        for name in names:
            if not NAME.fullmatch(name) or name in taken:
                fail(where, f"name {name!r} is odd or taken")
            taken.add(name)
        dialect, base = spoken(row)
        if dialect is None or row["auth"] not in AUTHS:
            fail(where, f"dialect {row['dialect']!r}, auth {row['auth']!r}")
        if not re.fullmatch(r"https?://[^\s/]+(/[^\s]*[^\s/])?", base):
            fail(where, f"base_url {base!r}")
        if not re.fullmatch(r"([A-Z][A-Z0-9_]*(,[A-Z][A-Z0-9_]*)*)?", row["key_env"]):
            fail(where, f"key_env {row['key_env']!r}")
        keys = ",".join(key for key in row["key_env"].split(",") if not NOT_KEYS.fullmatch(key))
        out[row["name"]] = "\t".join([row["name"], ",".join(names[1:]), dialect, base,
                                      keys, row["auth"]])
    return out


def write(path, head, lines):
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write(head + FACTS + "\n".join(lines) + "\n")
    print(f"{path}: {len(lines)} rows")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: catalog.py MODELS.tsv PROVIDERS.tsv [OUTDIR]")
    here = os.path.dirname(os.path.abspath(__file__))
    outdir = sys.argv[3] if len(sys.argv) == 4 else os.path.join(here, "..", "route")
    known = providers(sys.argv[2])
    write(os.path.join(outdir, "providers.tsv"), PROVIDERS_HEAD, list(known.values()))
    write(os.path.join(outdir, "catalog.tsv"), CATALOG_HEAD, models(sys.argv[1], known))


if __name__ == "__main__":
    main()
