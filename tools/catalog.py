#!/usr/bin/env python3
"""catalog.py - write the compiled-in lists from the fact tables.

    tools/catalog.py [--check] FACTS [OUTDIR]

FACTS is a folder with models.tsv, providers.tsv, quality.tsv and model_map.tsv. Writes
catalog.tsv, quality.tsv and providers.tsv into OUTDIR (route/ beside this script unless given).
Run by hand when the facts change; the results are committed. The same input gives the same
bytes: no clock, no environment, input order kept. --check writes nothing: it says how well the
priors of quality predict a benchmark they have not seen (minutes).

Everything that route/builtin.c takes for granted is checked here, so that bad facts stop the
maintainer and not the program. Prices stay decimal strings; nothing passes through a float.
What one provider or model wants otherwise than the others is a word in a column of the lists,
out of the tables below; the program has no name of a provider in it.
"""
import calendar
import collections
import os
import re
import sys
import time

sys.dont_write_bytecode = True
import quality  # noqa: E402, beside this script

PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6}0*)?")
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
MODEL = re.compile(r"[!-~]+")
NAME_MAX = 96           # CATALOG_NAME_MAX: bytes of "provider/model"
DATES_MAX = 4           # PRICE_DATES_MAX: the base price and three later ones
TOKENS_MAX = 2**32 - 1
DIALECTS = {"chat": "openai", "anthropic": "anthropic", "gemini": "gemini", "other": "other",
            "bedrock": "bedrock"}
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
# What a model's request is to be written like: words of the column quirks, which stand in
# route/quirk.def. In both lists; a provider's hold for all its models. Sources: providers.tsv.
PROVIDER_QUIRKS = {
    "openai": "completion",             # max_tokens is deprecated there
    "azure": "completion",
    "deepseek": "keep_thoughts,think_object,no_schema",
    "mistral": "no_completion,id_9,no_name,random_seed,choice_any,no_thoughts,"
               "no_logprobs,no_tier,no_user,no_effort",       # 422 extra_forbidden
    "groq": "no_name,no_thoughts,no_logprobs,plain_text",
    "openrouter": "cache_marks,top_k",
    "together": "top_k",
    "fireworks": "top_k",
    "cerebras": "no_thoughts,no_penalties,no_tier",
    "perplexity": "alternate,no_effort",
    "moonshotai": "keep_thoughts,think_object,no_effort",
    "zai": "think_object,no_effort,no_schema,cool",
    "zhipuai": "think_object,no_effort,no_schema,cool",
    "alibaba": "top_k,think_switch",
    "minimax": "cool,no_effort",
    "sambanova": "cool",
    "siliconflow": "top_k,think_switch",
    "novita": "top_k,think_switch",
    "deepinfra": "top_k",
    "vllm": "top_k",
    "llamacpp": "top_k",
    "chutes": "no_completion",
    "xiaomi": "no_completion",          # sources differ; litellm maps to max_tokens
    "databricks": "no_options,no_strict,no_parallel",   # 400 for some models there
    "nvidia": "no_options,no_penalties,no_effort,cool",  # stream_options may hang the stream
    "vertex": "count_flat",
}
# Models that auto leaves alone, beside those that are deprecated: made for one purpose, or a
# name that stands for another row and may mean another one tomorrow.
ONE_PURPOSE = re.compile(r"search|deep-research|computer-use|robotics|guard|(^|[-/])ocr|"
                         r"ui-tars|translate|(^|-)mt(-|$)|customtools|sonar|router|morph|"
                         r"(^|/)auto($|-)|relace|switchpoint|roleplay|(^|[-/])rp-|-latest$|"
                         r"body-builder")
# Behind Responses or completions only (OpenAI's model pages).
OTHER_API = (("openai azure", r"(o\d|gpt-5(\.\d)?)(-mini)?-(pro|codex).*|codex-mini.*|"
                              r"gpt-3\.5-turbo-instruct.*"),)
MODEL_QUIRKS = (                        # providers, model id, words
    ("openai azure", r"(gpt-5|o[134])(?!.*chat).*", "no_max,no_sampling,no_stop"),
    ("anthropic vertex-anthropic bedrock azure",
     r"(.*anthropic\.)?claude-(opus-4-[789]|opus-5|sonnet-5|fable-5).*",
     "no_sampling,adaptive,no_prefill"),
    # Anthropic's migration guide: prefill is a 400 from 4.6 on.
    ("anthropic vertex-anthropic bedrock azure",
     r"(.*anthropic\.)?claude-((opus|sonnet)-4-6|mythos-5).*", "no_prefill"),
    ("google vertex", r"gemini-3.*", "signed_calls"),
    ("xai", r"grok-(3-mini|4\.[3-9]|5)(?!.*non-reasoning).*", "no_penalties,no_stop"),
    ("xai", r"grok-(4(?!\.[3-9])|code)(?!.*non-reasoning).*",
     "no_penalties,no_stop,no_effort"),
    ("moonshotai", r"kimi-k(2\.[5-9]|3).*", "no_sampling,no_penalties"),
)
# How a model goes on with an answer that another one began: enum catalog_continues. Nothing
# stands here that no source says; `instruct` is never built in, for we have measured no model.
# Left out: DeepSeek (prefix, but only below /beta), OpenRouter (depends on who serves), Gemini
# and the Responses API (no word of it), OpenAI, xAI and Cohere (none).
PROVIDER_CONTINUES = {
    # docs.mistral.ai/guides/prefix; that the answer repeats it: vercel/ai #3256, which cuts it
    # off again in streams too; SillyTavern #2557; simonw/llm-mistral #18.
    "mistral": "prefix_echo",
    # platform.kimi.ai/docs/guide/use-partial-mode-feature-of-kimi-api: the answer does not
    # repeat it.
    "moonshotai": "partial",
    # console.groq.com/docs/prompting, "Assistant Message Prefilling": any text-to-text model.
    "groq": "prefill",
    # docs.vllm.ai, OpenAI-Compatible Server, extra parameters of chat: continue_final_message.
    "vllm": "final",
    # ollama/ollama #6778: a maintainer, a last turn of the assistant is gone on with.
    "ollama": "prefill",
    # llama-server(1), --prefill-assistant, the default. Refused while a model thinks.
    "llamacpp": "prefill",
}
MODEL_CONTINUES = (                     # providers, model id, word
    # platform.claude.com, "Prefill Claude's response", and its migration guide: up to 4.5. For
    # Bedrock: docs.aws.amazon.com, "Anthropic Claude Messages API"; over Converse: 4.5 takes
    # it and 4.6 does not, strands-agents/sdk-python #1694.
    ("anthropic vertex-anthropic bedrock",
     r"(.*anthropic\.)?claude-(3|(opus|sonnet|haiku)-4(?!-[6-9])([-@]|$)).*",
     "prefill"),
    # help.aliyun.com/en/model-studio/partial-mode: while they do not think, so only those that
    # think when told to.
    ("alibaba", r"qwen-((vl-)?(max|plus)|flash|turbo)|qwen3-max|qwen3-coder-.*|"
                r"qwen2-5-\d+b-instruct", "partial"),
    # They begin with thoughts, and no source says what becomes of those.
    ("groq", r"openai/gpt-oss.*|qwen/qwen3.*", "no"),
    ("mistral", r"magistral.*", "no"),
)
# Levels of reasoning effort that the provider's own parameter takes (n none, i minimal, l low,
# m medium, h high, x xhigh), then the one that counts where a request says none. Sources:
# OpenAI's reasoning guide and model pages; Anthropic's extended thinking page;
# Gemini's thinking page; xAI's reasoning page; gpt-oss model card; levels that quality.tsv has
# figures for. Only a default: no level is known to be taken.
OPENAI = ((r"gpt-5\.[2-9](-mini|-nano|-sol|-terra|-luna)?", "nlmhx:n"), (r"gpt-5\.1", "nlmh:n"),
          (r"gpt-5(-mini|-nano)?", "ilmh:m"), (r"gpt-5(\.1)?-codex(-mini)?", "lmh:m"),
          (r"gpt-5\.[1-9]-codex(-max)?", "lmhx:m"), (r"gpt-5\.[2-9]-pro", "mhx:m"),
          (r"o1(-pro)?|o3(-mini|-pro)?|o4-mini", "lmh:m"))
GPT_OSS = ((r"(.*/)?(openai[./])?gpt-oss-(20|120)b.*", "lmh:m"),)
XAI = ((r"grok-3-mini.*", "lh:l"), (r"grok-4\.3", "nlmh:l"), (r"grok-4\.[5-9]", "lmh:h"))
EFFORTS = {
    "openai": OPENAI, "azure": OPENAI + GPT_OSS, "xai": XAI,
    "openrouter": (tuple((r"openai/(" + id + ")", to) for id, to in OPENAI) + GPT_OSS +
                   tuple((r"x-ai/" + id, to) for id, to in XAI)),
    # Their own dialects have other parameters for it, which Weir does not add.
    "anthropic": ((r"claude-(3-7-sonnet|(opus|sonnet|haiku)-4|.*-5$).*", ":n"),),
    "google": ((r"gemini-3.*", ":h"), (r"gemini-2\.5-flash-lite.*", ":n")),
}
DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-latest|-preview.*)$")
REGIONS = (("EU", "eu"), ("China", "cn"), ("Singapore (default here)", "sg"),
           ("global", "global"), ("local", "local"))
# How a stream tells its usage, from the first words of usage_in_stream.
USAGE = (("on include_usage", "asked"), ("always", "always"), ("each chunk", "always"),
         ("last chunk with finish_reason", "always"), ("last frame", "always"),
         ("partial usage", "always"), ("none", "never"))
# Families of rate-limit headers, by what stands in the table.
LIMITS = (("anthropic-ratelimit", "anthropic"), ("-req-minute", "mistral"),
          ("-requests-day and", "cerebras"), ("epoch", "sambanova"),
          ("x-ratelimit-limit, x-ratelimit-remaining", "plain"), ("X-RateLimit-Limit", "plain"),
          ("x-ratelimit-limit", "openai"))
RETENTIONS = (("local", "none"), ("inputs and outputs not stored", "none"),
              ("stated: no retention", "none"), ("open models: nothing kept", "none"),
              ("no retention by default", "30d"), ("not used for training; 30 days", "30d"),
              ("API data not used", "30d"), ("commercial API", "30d"),
              ("bodies not stored", "none"))

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
# abilities (t tools, v vision, j JSON schema, r reasoning; e embeddings and the like: answers
# with no text; o only for who names it, not for auto), release date, quality (a name in
# quality.tsv, or t in hundredths by price and date; ? at its end: by price alone), efforts
# (n none, i minimal, l low, m medium, h high, x xhigh; behind : the one taken where none is
# asked for), quirks, how it goes on with an answer that another one began (empty: as its
# provider).
"""
QUALITY_HEAD = """\
# quality.tsv - a prior of ability per model and family. Written by tools/catalog.py; do not
# edit. Sorted by name (bytes). Name, sources (letters, below), then t:width:figures of
# knowledge, math, code, reasoning, instruction, tools, longctx, vision, multilingual, chat, in
# hundredths, N(0, 1) over all models, at the highest effort; then what t loses in hundredths at
# none, minimal, low, medium, high, xhigh (empty: what the row * says, the median of models).
# A Artificial Analysis (artificialanalysis.ai; by oolong-tea-2026, MIT), R LMArena
# (lmarena/arena-catalog; oolong-tea-2026/arena-ai-leaderboards, MIT), L
# LiveBench/new-livebench, M makers' own figures (JonathanChavezTamales/llm-leaderboard, CC BY
# 4.0), T sierra-research/tau2-bench (MIT), N lechmazur/nyt-connections, U
# MMMU-Benchmark/mmmu-benchmark.github.io, P Aider-AI/aider polyglot (Apache-2.0).
# What stands here is our fit to their figures (recipe: tools/quality.py), not the figures.
"""
PROVIDERS_HEAD = """\
# providers.tsv - providers known by name. Written by tools/catalog.py; do not edit.
# name, aliases, dialect, base_url (ends where the dialect's path begins; {braces} are to be
# filled in by the operator), environment names of the key, auth, region, retention (none, or
# for how long; empty: not found), usage in streams (always, asked, never), family of rate-limit
# headers, field of an answer's thoughts, further dialects below the same base, quirks, how its
# models go on with an answer that another one began (sources of both: tools/catalog.py).
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


def base_id(model):
    """An id without its date and without the maker's prefix that some hosts put there."""
    return DATED.sub("", model)


def efforts(provider, model):
    for pattern, levels in EFFORTS.get(provider, GPT_OSS):
        if re.fullmatch(pattern, base_id(model)) or re.fullmatch(pattern, model):
            return levels
    return ""


def model_quirks(provider, model):
    words = [w for of, pattern, w in MODEL_QUIRKS
             if provider in of.split() and re.fullmatch(pattern, model)]
    return ",".join(words)


def model_continues(where, provider, model):
    for of, pattern, how in MODEL_CONTINUES:
        if provider in of.split() and re.fullmatch(pattern, model):
            if "no_prefill" in model_quirks(provider, model):
                fail(where, f"{model} refuses what {how} needs")
            return how
    return ""


def model_line(where, row, prior, named):
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
    released = row["release_date"]
    if not re.fullmatch(r"(\d{4}(-\d{2}){0,2})?", released):
        fail(where, f"release date {released!r}")
    abilities = "".join(letter for name, letter in ABILITIES if row[name] == "1")
    abilities += "o" * named
    provider, model = row["provider"], row["model_id"]
    context, most = tokens(where, row["context_window"]), tokens(where, row["max_output"])
    return "\t".join([provider, model, *base, *tier, later, context, most, abilities, released,
                      prior, efforts(provider, model), model_quirks(provider, model),
                      model_continues(where, provider, model)])


def by_name(row, price_of):
    """Only for who names it: never picked for auto. Gone or going, for one purpose, behind
    another API than its provider's dialect, a moving alias, a dated copy of another row, or
    one that nothing but a price is known of."""
    provider, model = row["provider"], row["model_id"]
    dated = re.fullmatch(r"(.+?)-(20\d{2}-\d{2}-\d{2}|20\d{6}|\d{4})", model)
    copy = dated and price_of.get((provider, dated.group(1))) == price_of[provider, model]
    unknown = not row["release_date"] and all(row[name] != "1" for name, _ in ABILITIES)
    return bool(row["status"] in ("deprecated", "alpha") or copy or unknown or
                ONE_PURPOSE.search(model) or
                any(provider in names.split() and re.fullmatch(pattern, model)
                    for names, pattern in OTHER_API))


def models(path, providers, priors):
    seen, out = set(), []
    price_of = {(row["provider"], row["model_id"]):
                (row["input_usd_per_m"], row["output_usd_per_m"]) for _, row in rows(path)}
    for where, row in rows(path):
        name = f"{row['provider']}/{row['model_id']}"
        if row["provider"] not in providers:
            fail(where, f"provider {row['provider']!r} is not in the provider table")
        if not MODEL.fullmatch(row["model_id"]) or len(name) > NAME_MAX or name in seen:
            fail(where, f"model id {name!r} is odd, too long, or comes twice")
        seen.add(name)
        out.append(model_line(where, kin(row), priors.of(row), by_name(row, price_of)))
    for provider, model, price_text, context in UNSPOKEN:
        if f"{provider}/{model}" not in seen:
            out.append("\t".join([provider, model, price_text, "", "", "0", "", "", "", "", "",
                                  context, "", "e"] + [""] * 5))
    return out


def year(date):
    """2026.5 for the first days of July; a month counts as its 15th, a year as its middle."""
    if not date:
        return None
    part = [int(x) for x in date.split("-")] + [None] * 2
    month, day = part[1] or 7, part[2] or (15 if part[1] else 1)
    return part[0] + (month - 1) / 12 + (day - 1) / 365


def dates(path):
    """(provider, id) -> release date; an id without one takes that of the longest other id of
    the provider that it begins with (gpt-3.5-turbo-0125 and gpt-3.5-turbo)."""
    known = {(row["provider"], row["model_id"]): row["release_date"] for _, row in rows(path)}
    out = dict(known)
    for (provider, model), date in known.items():
        if date:
            continue
        cut = model
        while cut and not known.get((provider, cut)):
            cut = cut[:-1]
        if len(cut) >= 5:
            out[provider, model] = known[provider, cut]
    return out


class Priors:
    """What is published of each model, fitted; and price and date where nothing is."""

    def __init__(self, folder):
        self.figures = quality.Figures(rows(os.path.join(folder, "quality.tsv")))
        self.key = {(r["provider"], r["model_id"]): r["model"]
                    for _, r in rows(os.path.join(folder, "model_map.tsv"))}
        self.dates = dates(os.path.join(folder, "models.tsv"))
        self.facts = self.gather(os.path.join(folder, "models.tsv"))
        plain = quality.Fit(self.figures)
        self.price = quality.Price(plain.t, self.facts)
        self.mean = {}
        for model in plain.t:
            expected = self.price.expect(*self.facts.get(model, (None, None)))
            if expected is not None:
                self.mean[model] = expected
        self.fit = quality.Fit(self.figures, None, self.mean)
        self.efforts = quality.Efforts(self.figures, self.fit)

    def gather(self, path):
        """Model -> median output price over its hosts, and first release."""
        prices, years = collections.defaultdict(list), {}
        for _, row in rows(path):
            key = self.key.get((row["provider"], row["model_id"]))
            if not key:
                continue
            cost, when = float(row["output_usd_per_m"] or 0), year(row["release_date"])
            if cost > 0:
                prices[key].append(cost)
            if when:
                years[key] = min(years.get(key, when), when)
        return {key: (quality.median(prices[key]) if prices[key] else None, years.get(key))
                for key in sorted(set(prices) | set(years))}

    def of(self, row):
        """The column quality of a model's row."""
        key = self.key.get((row["provider"], row["model_id"]), "")
        if key in self.fit.t:
            return key
        cost, when = self.facts.get(key, (None, None))
        cost = cost or float(row["output_usd_per_m"] or 0)
        when = when or year(self.dates[row["provider"], row["model_id"]])
        expected = self.price.expect(cost, when)
        if expected is None:
            return ""
        return hundredths(max(-3, min(expected, 3))) + ("" if when else "?")

    def lines(self):
        common = ":".join(hundredths(self.efforts.common[e]) for e in quality.EFFORTS)
        out = [("*", "\t".join(["*", "", "", common]))]
        for model in self.fit.t:
            if not MODEL.fullmatch(model) or re.match(r"-?\d+\??$", model):
                fail("quality.tsv", f"model {model!r}")
            cells = []
            for family in quality.FAMILIES:
                offset, n, count = self.fit.offset(model, family)
                t = max(-3, min(self.fit.t[model] + offset, 3))
                width = hundredths(quality.width(n))
                cells.append(f"{hundredths(t)}:{width}:{min(count, 255)}")
            own = [e for e in quality.EFFORTS if (model, e) in self.efforts.model]
            shifts = ":".join(hundredths(self.efforts.shift(model, e))
                              for e in quality.EFFORTS) if own else ""
            out.append((model, "\t".join([model, "".join(sorted(self.figures.sources[model])),
                                          " ".join(cells), shifts])))
        return [text for _, text in sorted(out, key=lambda pair: pair[0].encode())]

    def check(self):
        p = self.price
        print(f"{len(self.figures.models)} models, {len(self.figures.value)} benchmarks")
        print("price and date: t = {:.2f} {:+.2f} log10(median output price) {:+.2f} (release "
              "year - 2025)".format(*p.plane))
        print(f"    over {p.count} models; left {p.left:.2f} of {p.spread:.2f}")
        print("price alone: t = {:.2f} {:+.2f} log10(output price)".format(*p.flat))
        gains = self.efforts.gains
        print(f"none to the highest effort: {quality.median(gains):.2f} in t, over {len(gains)}"
              " models")
        quality.check(self.figures, self.mean)


def hundredths(value):
    whole = round(value * 100)
    return str(whole if whole else 0)


def word(table, text, within=False):
    """The word of the first entry that the cell begins with, or (within) holds."""
    for start, mark in table:
        if text.startswith(start) or (within and start in text):
            return mark
    return ""


def region(text):
    """Where the base address computes; what is behind another one is not this one's."""
    for start, mark in REGIONS:
        if re.match(re.escape(start) + r"($|;| *;)", text):
            return mark
    return ""


def thoughts(path):
    """Provider -> the field that most of its models tell their thoughts in."""
    seen = collections.defaultdict(collections.Counter)
    for _, row in rows(path):
        if row["reasoning_field"]:
            seen[row["provider"]][row["reasoning_field"]] += 1
    return {p: c.most_common(1)[0][0] for p, c in seen.items()}


# What Vertex AI asks for in other dialects than Gemini's, as providers of their own: name,
# further names, dialect, the end of the base, and whose models they are.
VERTEX = "https://{vertex}/v1/projects/{project}/locations/{location}"
VERTEX_KIN = (
    ("vertex-anthropic", "google-vertex-anthropic", "anthropic", "/publishers/anthropic",
     r"claude-.*"),
    ("vertex-openai", "vertex-maas", "openai", "/endpoints/openapi", r"[^/]+/.*"),
)


def kin(row):
    """The provider that has a model of the table: Vertex' own, or one of its kin."""
    if row["provider"] == "vertex":
        for name, _, _, _, models_of in VERTEX_KIN:
            if re.fullmatch(models_of, row["model_id"]):
                return dict(row, provider=name)
    return row


def spoken(row):
    """Dialect and base. A native dialect that we do not speak gives way to the provider's own
    OpenAI-compatible base, where it has one without braces (Cohere)."""
    dialect, base = DIALECTS.get(row["dialect"]), row["base_url"]
    if row["name"] == "bedrock":
        return "bedrock", base
    if row["name"] == "vertex":  # the host goes with the location: engine/conf_account.c
        return dialect, base.replace("aiplatform.googleapis.com", "{vertex}")
    if dialect == "other":
        also = re.match(r"chat (https://[^ ;{}]+)(;|$)", row["also_speaks"])
        if also:
            return "openai", also.group(1)
    return dialect, base


def also(row, base):
    """Further dialects at the same address. One that only some models have does not count."""
    native = (r"(?:.*; |)responses (same base|/v1/responses|" + re.escape(base) +
              r"(/responses)?)( \((preferred|stateless)\))?(;.*|)")
    speaks = re.fullmatch(native, row["also_speaks"])
    if not speaks or (speaks.group(1) == "/v1/responses" and not base.endswith("/v1")):
        return ""
    return "responses"


def quirk_words():
    """The words that the program knows."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "route", "quirk.def"), encoding="ascii") as file:
        return set(re.findall(r'^[XY]\(\w+, "(\w+)"\)$', file.read(), re.M))


def providers(path, fields):
    taken, out, words = set(), {}, quirk_words()
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
        quirks = PROVIDER_QUIRKS.get(row["name"], "")
        if not set(quirks.split(",")) <= {"", *words}:
            fail(where, f"quirks {quirks!r}")
        field = fields.get(row["name"], "")
        if re.match(r"field reasoning\b|.*; field reasoning\b", row["quirks"]):
            field = field or "reasoning"
        elif "reasoning_content" in row["quirks"]:
            field = field or "reasoning_content"
        out[row["name"]] = "\t".join([
            row["name"], ",".join(names[1:]), dialect, base, keys, row["auth"],
            region(row["region"]), word(RETENTIONS, row["retention"]),
            word(USAGE, row["usage_in_stream"]), word(LIMITS, row["ratelimit_headers"], True),
            field, also(row, base), quirks, PROVIDER_CONTINUES.get(row["name"], "")])
        if row["name"] == "vertex":
            for name, alias, native, end, _ in VERTEX_KIN:
                out[name] = "\t".join([name, alias, native, VERTEX + end, "", row["auth"], "",
                                       "", "always", "", "", "", "", ""])
    return out


def write(path, head, lines):
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write(head + "\n".join(lines) + "\n")
    print(f"{path}: {len(lines)} rows")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) not in (1, 2):
        sys.exit("usage: catalog.py [--check] FACTS [OUTDIR]")
    facts = arguments[0]
    priors = Priors(facts)
    if "--check" in sys.argv[1:]:
        priors.check()
        return
    here = os.path.dirname(os.path.abspath(__file__))
    outdir = arguments[1] if len(arguments) == 2 else os.path.join(here, "..", "route")
    table = os.path.join(facts, "models.tsv")
    known = providers(os.path.join(facts, "providers.tsv"), thoughts(table))
    write(os.path.join(outdir, "providers.tsv"), PROVIDERS_HEAD + FACTS, list(known.values()))
    write(os.path.join(outdir, "catalog.tsv"), CATALOG_HEAD + FACTS,
          models(table, known, priors))
    write(os.path.join(outdir, "quality.tsv"), QUALITY_HEAD, priors.lines())


if __name__ == "__main__":
    main()
