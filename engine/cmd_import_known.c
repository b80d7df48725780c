/* cmd_import_known.c - what is known of LiteLLM's names: the prefixes of its models and how
 * Weir reaches the same provider, and for everything that has no counterpart, why it has none.
 * Facts from its documentation (docs.litellm.ai, 2026). Tables only: a name that is in none of
 * them is told to the user as unknown, never skipped. */
#include "engine/cmd_import.h"

static const char signing[] = "requests signed with an account are not in this release of "
                              "Weir; a provider of the same model with a key can stand in";
static const char foreign[] = "its API is none that this release of Weir speaks (openai, "
                              "responses, anthropic, gemini)";
static const char media[] = "it makes images, sound or video; this release of Weir relays text";

static const struct import_kind kinds[] = {
    {.prefix = "openai"},
    {.prefix = "text-completion-openai", .known = "openai"},
    {.prefix = "custom_openai", .known = "", .own = true},
    {.prefix = "openai_like", .known = "", .own = true},
    {.prefix = "litellm_proxy", .known = "", .own = true, .env = "LITELLM_PROXY_API_KEY"},
    {.prefix = "hosted_vllm", .known = "", .own = true, .env = ""},
    {.prefix = "xinference", .known = "", .own = true, .env = ""},
    {.prefix = "lm_studio", .known = "", .own = true, .env = ""},
    {.prefix = "llamafile", .known = "", .own = true, .env = ""},
    {.prefix = "docker_model_runner", .known = "", .own = true, .env = ""},
    {.prefix = "ollama", .tail = "/v1"},
    {.prefix = "ollama_chat", .known = "ollama", .tail = "/v1"},
    {.prefix = "anthropic", .tail = "/v1"},
    {.prefix = "anthropic_text", .known = "anthropic", .tail = "/v1"},
    {.prefix = "gemini", .known = "google", .tail = "/v1beta"},
    {.prefix = "azure", .known = "azure", .own = true, .env = "AZURE_API_KEY",
     .tail = "/openai/v1", .auth = "api-key"},
    {.prefix = "azure_text", .known = "azure", .own = true, .env = "AZURE_API_KEY",
     .tail = "/openai/v1", .auth = "api-key"},
    {.prefix = "azure_ai", .known = "azure", .own = true, .env = "AZURE_AI_API_KEY",
     .tail = "/openai/v1", .auth = "api-key"},
    {.prefix = "together_ai", .known = "together", .env = "TOGETHERAI_API_KEY"},
    {.prefix = "fireworks_ai", .known = "fireworks", .env = "FIREWORKS_AI_API_KEY"},
    {.prefix = "perplexity", .env = "PERPLEXITYAI_API_KEY"},
    {.prefix = "cohere_chat", .known = "cohere"},
    {.prefix = "huggingface", .env = "HUGGINGFACE_API_KEY", .tail = "/v1"},
    {.prefix = "deepinfra"}, {.prefix = "github"}, {.prefix = "meta_llama", .known = "meta"},
    {.prefix = "vercel_ai_gateway", .known = "vercel", .env = "VERCEL_AI_GATEWAY_API_KEY"},
    /* The addresses behind these differ from those of the providers that share a name. */
    {.prefix = "volcengine", .known = "", .own = true},
    {.prefix = "databricks", .known = "databricks", .own = true, .env = "DATABRICKS_API_KEY"},
    {.prefix = "bedrock", .refused = signing}, {.prefix = "bedrock_converse",
     .refused = signing}, {.prefix = "sagemaker", .refused = signing},
    {.prefix = "sagemaker_chat", .refused = signing}, {.prefix = "vertex_ai",
     .refused = signing}, {.prefix = "vertex_ai_beta", .refused = signing},
    {.prefix = "oci", .refused = signing}, {.prefix = "watsonx", .refused = foreign},
    {.prefix = "watsonx_text", .refused = foreign}, {.prefix = "replicate",
     .refused = foreign}, {.prefix = "predibase", .refused = foreign},
    {.prefix = "petals", .refused = foreign}, {.prefix = "nlp_cloud", .refused = foreign},
    {.prefix = "aleph_alpha", .refused = foreign}, {.prefix = "clarifai",
     .refused = foreign}, {.prefix = "triton", .refused = foreign},
    {.prefix = "palm", .refused = foreign}, {.prefix = "maritalk", .refused = foreign},
    {.prefix = "voyage", .refused = foreign}, {.prefix = "jina_ai", .refused = foreign},
    {.prefix = "infinity", .refused = foreign}, {.prefix = "deepgram", .refused = media},
    {.prefix = "elevenlabs", .refused = media}, {.prefix = "recraft", .refused = media},
    {.prefix = "fal_ai", .refused = media}, {.prefix = "stability", .refused = media},
    /* By the names of the built-in list. */
    {.prefix = "deepseek"}, {.prefix = "xai"}, {.prefix = "mistral"}, {.prefix = "groq"},
    {.prefix = "openrouter"}, {.prefix = "cerebras"}, {.prefix = "sambanova"},
    {.prefix = "nvidia_nim"}, {.prefix = "cohere"}, {.prefix = "moonshot"},
    {.prefix = "zai"}, {.prefix = "dashscope"}, {.prefix = "minimax"},
    {.prefix = "hyperbolic"}, {.prefix = "nebius"}, {.prefix = "novita"},
    {.prefix = "lambda_ai"}, {.prefix = "baseten"}, {.prefix = "friendliai"},
    {.prefix = "ai21"}, {.prefix = "ai21_chat", .known = "ai21"}, {.prefix = "wandb"},
    {.prefix = "ovhcloud"}, {.prefix = "stepfun"}, {.prefix = "upstage"},
    {.prefix = "siliconflow"}, {.prefix = "inception"}, {.prefix = "chutes"},
};

const struct import_kind *import_kind_find(struct bytes prefix)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (bytes_eq(prefix, bytes_of(kinds[i].prefix))) return &kinds[i];
    }
    return NULL;
}

/* ---- why the rest is left ---- */

struct reason {
    const char *name;            /* as written; a '*' at the end stands for the rest */
    const char *why;
};

static const char defaults[] = "Weir adds no parameters to a request: the client states them";
static const char callbacks[] = "Weir calls no loggers: usage is in its ledger, counters are "
                                "at /metrics";
static const char no_database[] = "Weir's ledger is embedded: there is no database to reach";
static const char no_redis[] = "Weir's cores share limits, and need no Redis for it";
static const char no_cache[] = "Weir keeps no answers";
static const char breakers[] = "Weir's breakers are built in: at most 10 failures in a row "
                               "open one, a probe closes it, Retry-After is honoured";
static const char alerting[] = "alerts are set at the admin API, not in the file";
static const char admin_keys[] = "keys, teams and budgets are made at the admin API";
static const char entra[] = "tokens of Entra ID end after an hour; Weir takes a resource's key";
static const char forwards[] = "Weir forwards what the client sends: fields that the provider "
                               "does not know are its to refuse";
static const char per_second[] = "Weir's prices are per token or per request";

static const struct reason params[] = {
    {"temperature", defaults}, {"max_tokens", defaults}, {"max_completion_tokens", defaults},
    {"top_p", defaults}, {"top_k", defaults}, {"seed", defaults}, {"stop", defaults},
    {"presence_penalty", defaults}, {"frequency_penalty", defaults}, {"n", defaults},
    {"response_format", defaults}, {"reasoning_effort", defaults}, {"thinking", defaults},
    {"tools", defaults}, {"tool_choice", defaults}, {"extra_body", defaults},
    {"user", defaults}, {"stream", defaults}, {"num_ctx", defaults}, {"keep_alive", defaults},
    {"drop_params", forwards}, {"additional_drop_params", forwards},
    {"allowed_openai_params", forwards}, {"modify_params", forwards},
    {"azure_ad_token", entra}, {"azure_ad_token_provider", entra}, {"tenant_id", entra},
    {"client_id", entra}, {"client_secret", entra}, {"azure_scope", entra},
    {"input_cost_per_second", per_second}, {"output_cost_per_second", per_second},
    {"input_cost_per_character", per_second}, {"output_cost_per_image", per_second},
    {"max_retries", "retries are counted for a request, not for a deployment: "
                    "routing.max_attempts"},
    {"num_retries", "retries are counted for a request, not for a deployment: "
                    "routing.max_attempts"},
    {"stream_timeout", "Weir's timeouts.first_byte would hold for whole answers too; a stream "
                       "has 30s to its first byte unless that is set"},
    {"tags", "routing by tag is not in Weir"}, {"budget_duration", admin_keys},
    {"max_budget", admin_keys}, {"mock_response", "weir-mock stands in for a provider"},
    {"ssl_verify", "Weir checks every certificate; SSL_CERT_FILE names further authorities"},
    {"use_in_pass_through", "Weir relays to providers by their API, not by path"},
};

static const struct reason infos[] = {
    {"id", "Weir calls a model provider/model"}, {"version", "Weir has no use for it"},
    {"access_groups", "who may use what is a policy at the admin API"},
    {"supported_environments", "keep a file for each environment"},
    {"custom_tokenizer", "Weir counts what providers report, else its own estimate"},
    {"metadata", "Weir has no use for it"}, {"description", "Weir has no use for it"},
    {"team_id", admin_keys}, {"health_check_*", "Weir learns health from requests"},
    {"disable_background_health_check", "Weir learns health from requests"},
    {"supports_*", "Weir knows tools, vision, json_schema and reasoning"},
    {"input_cost_per_second", per_second}, {"output_cost_per_second", per_second},
    {"db_model", no_database},
};

static const struct reason routers[] = {
    {"redis_*", no_redis}, {"cache_kwargs", no_redis}, {"cache_responses", no_cache},
    {"allowed_fails", breakers}, {"allowed_fails_policy", breakers},
    {"cooldown_time", breakers}, {"disable_cooldowns", breakers},
    {"enable_pre_call_checks", "Weir leaves out what cannot take the request by itself"},
    {"enable_pre_call_check", "Weir leaves out what cannot take the request by itself"},
    {"routing_strategy_args", "Weir's averages have no settings"},
    {"retry_policy", "what is tried elsewhere is fixed: refused connections, time-outs, 401, "
                     "403, 404, 408, 413, 429, 5xx"},
    {"model_group_retry_policy", "what is tried elsewhere is fixed"},
    {"retry_after", "Weir goes to the next candidate at once"},
    {"content_policy_fallbacks", "a provider's refusal of the request is passed on"},
    {"max_fallbacks", "routing.max_attempts counts all candidates of a request"},
    {"default_litellm_params", defaults}, {"stream_timeout", "see timeouts of a provider"},
    {"enable_tag_filtering", "routing by tag is not in Weir"},
    {"tag_filtering_match_any", "routing by tag is not in Weir"},
    {"set_verbose", "log.level is taken from litellm_settings"},
    {"debug_level", "log.level is taken from litellm_settings"},
    {"provider_budget_config", admin_keys}, {"alerting_config", alerting},
    {"optional_pre_call_checks", "sessions stay with a provider by x-weir-session"},
};

static const struct reason modules[] = {
    {"success_callback", callbacks}, {"failure_callback", callbacks},
    {"callbacks", callbacks}, {"service_callbacks", callbacks}, {"langfuse_*", callbacks},
    {"s3_callback_params", callbacks}, {"cache", no_cache}, {"cache_params", no_cache},
    {"enable_caching_on_provider_specific_optional_params", no_cache},
    {"drop_params", forwards}, {"modify_params", forwards},
    {"turn_off_message_logging", "Weir never keeps or logs what is in a message"},
    {"redact_*", "Weir never keeps or logs what is in a message"},
    {"content_policy_fallbacks", "a provider's refusal of the request is passed on"},
    {"allowed_fails", breakers}, {"cooldown_time", breakers},
    {"num_retries_per_request", "see num_retries"},
    {"force_ipv4", "Weir races IPv4 and IPv6"},
    {"default_team_settings", admin_keys}, {"default_internal_user_params", admin_keys},
    {"key_generation_settings", admin_keys}, {"max_budget", admin_keys},
    {"budget_duration", admin_keys}, {"max_internal_user_budget", admin_keys},
    {"max_user_budget", admin_keys}, {"guardrails", "Weir does not read messages"},
    {"mcp_aliases", "MCP servers are not in Weir"},
    {"ssl_verify", "Weir checks every certificate; SSL_CERT_FILE names further authorities"},
    {"telemetry", "Weir sends none"},
};

static const struct reason generals[] = {
    {"master_key", "it is LiteLLM's: Weir's admin token is WEIR_ADMIN_TOKEN, else made at the "
                   "first start in DATA/admin.token; clients get sk-weir-... keys"},
    {"database_*", no_database}, {"store_model_in_db", no_database},
    {"store_prompts_in_spend_logs", "Weir never keeps prompts"},
    {"disable_spend_logs", "Weir books every request"},
    {"disable_prisma_schema_update", no_database},
    {"allow_requests_on_db_unavailable", no_database},
    {"proxy_batch_write_at", no_database}, {"proxy_budget_rescheduler_*", no_database},
    {"maximum_spend_logs_retention_interval", "old rows go once a minute"},
    {"alerting", alerting}, {"alerting_*", alerting}, {"alert_types", alerting},
    {"alert_to_webhook_url", alerting}, {"spend_report_frequency", alerting},
    {"max_parallel_requests", "concurrency is a policy at the admin API, or of a provider"},
    {"global_max_parallel_requests", "concurrency is a policy at the admin API"},
    {"background_health_checks", "Weir learns health from requests"},
    {"health_check_*", "Weir learns health from requests"},
    {"enable_jwt_auth", "clients have keys of Weir's"},
    {"litellm_jwtauth", "clients have keys of Weir's"},
    {"custom_auth", "clients have keys of Weir's"}, {"custom_*", "Weir loads no code"},
    {"enable_oauth2_*", "clients have keys of Weir's"},
    {"litellm_key_header_name", "keys come as bearer, x-api-key, x-goog-api-key or api-key"},
    {"use_x_forwarded_for", "name the proxies that are believed in trusted_proxies"},
    {"allowed_ips", "Weir allows nothing by address: a firewall does"},
    {"key_management_*", "keys come from the environment or from files: ${file:PATH}"},
    {"use_azure_key_vault", "keys come from the environment or from files: ${file:PATH}"},
    {"use_google_kms", "keys come from the environment or from files: ${file:PATH}"},
    {"pass_through_endpoints", "Weir fetches only from providers, by their API"},
    {"litellm_license", "Weir has none"}, {"ui_access_mode", "the console takes the admin "
                                                            "token"},
    {"completion_model", "a request names its model, or auto"},
    {"default_team_disabled", admin_keys}, {"user_api_key_cache_ttl",
                                            "a change of a key is in effect at once"},
    {"forward_client_headers_to_llm_api", "Weir forwards clients' headers but credentials"},
    {"forward_openai_org_id", "Weir forwards clients' headers but credentials"},
};

static const struct reason roots[] = {
    {"environment_variables", "Weir sets no environment: set them where weir serve is started"},
    {"callback_settings", callbacks}, {"guardrails", "Weir does not read messages"},
    {"mcp_servers", "MCP servers are not in Weir"}, {"mcp_tools", "MCP is not in Weir"},
    {"include", "import each of the files"}, {"vector_store_registry", "not in Weir"},
    {"vector_stores", "not in Weir"}, {"search_tools", "not in Weir"},
    {"files_settings", "files and batches are not in Weir"},
    {"finetune_settings", "fine-tuning is not in Weir"},
    {"assistant_settings", "assistants are not in Weir"},
    {"prompts", "Weir adds nothing to messages"},
};

static bool matches(const char *pattern, struct bytes name)
{
    struct bytes p = bytes_of(pattern);
    if (p.len && p.ptr[p.len - 1] == '*') {
        p.len--;
        return bytes_starts(name, p);
    }
    return bytes_eq(name, p);
}

static const char *reason_of(const struct reason *list, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++) {
        if (matches(list[i].name, name)) return list[i].why;
    }
    return "Weir has nothing like it";
}

static const struct { const struct reason *list; size_t count; } sections[] = {
    [IMPORT_ROOT] = {roots, COUNT(roots)}, [IMPORT_PARAMS] = {params, COUNT(params)},
    [IMPORT_INFO] = {infos, COUNT(infos)}, [IMPORT_ROUTER] = {routers, COUNT(routers)},
    [IMPORT_MODULE] = {modules, COUNT(modules)}, [IMPORT_GENERAL] = {generals, COUNT(generals)},
};

const char *import_reason(enum import_section section, struct bytes name)
{
    assert(section < COUNT(sections));
    return reason_of(sections[section].list, sections[section].count, name);
}
