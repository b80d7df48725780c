// simdjson_shim.cc - simdjson on-demand for bench_json.c, which loads it at run time. Compiled
// once per instruction set (-march), because on-demand is built into its user; SHIM names the
// implementation of the first stage that goes with it.
// Rule: what a gateway reads, as simdjson's manual says it is read fastest without knowing the
// order of members, from padded memory, with one parser for all documents.
#include <simdjson.h>

#include <cstdint>

#define SHOWN extern "C" __attribute__((visibility("default")))

struct shim_fields { const char *model; std::size_t model_len; std::int64_t max_tokens;
                     bool stream; };

static simdjson::ondemand::parser parser;

// Choose the implementation. False: this processor lacks it.
SHOWN bool shim_open(void)
{
    const simdjson::implementation *chosen = nullptr;
    for (auto one : simdjson::get_available_implementations()) {
        if (one->name() == SHIM && one->supported_by_runtime_system()) chosen = one;
    }
    if (chosen) simdjson::get_active_implementation() = chosen;
    return chosen != nullptr;
}

// Read model, stream and max_tokens of a request; room bytes of memory are at text.
SHOWN bool shim_request(const char *text, std::size_t len, std::size_t room,
                             shim_fields *out)
{
    simdjson::ondemand::document doc;
    std::string_view model;
    if (parser.iterate(text, len, room).get(doc)) return false;
    if (doc["model"].get_string().get(model)) return false;
    if (doc["max_tokens"].get_int64().get(out->max_tokens)) return false;
    if (doc["stream"].get_bool().get(out->stream)) return false;
    out->model = model.data();
    out->model_len = model.size();
    return true;
}
